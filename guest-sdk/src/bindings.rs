//! What `wit-bindgen` makes of `wit/`: the imports as functions, the export as a trait.
//!
//! Public only for [`export!`](crate::export), which expands in the handler's crate.

wit_bindgen::generate!({
    path: "../wit",
    world: "capable",
    pub_export_macro: true,
    default_bindings_module: "nova_guest::bindings",
});

/// The same of `guest-sdk/wit/http.wit`: what is not used of it is not in the component.
pub mod http {
    wit_bindgen::generate!({ path: "wit/http.wit", world: "nova:http/client", generate_all });
}

/// The same of `guest-sdk/wit/random.wit`.
pub mod random {
    wit_bindgen::generate!({ path: "wit/random.wit", world: "nova:random/client", generate_all });
}
