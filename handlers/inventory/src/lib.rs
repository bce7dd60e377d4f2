//! A typed handler: the functions of `wit/inventory.wit` are its methods, their parameters the keyword arguments.
//!
//! There is no SDK and no JSON here: the host reads the types when it loads the component. `component` implements the
//! interfaces that wit-bindgen makes of them, [`stock`] is what they are about.

#[cfg(target_family = "wasm")]
mod component;
pub mod stock;
