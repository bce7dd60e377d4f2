//! Names of functions that are too long to be shown.
//!
//! Before it: the component as it came. After it: the compiler, which keeps every name, and the runtime, which copies those of
//! up to 32 frames whenever a guest traps. A section with a name beyond the bound is made one that nobody knows.

use wasmparser::{CustomSectionReader, KnownCustom, Name, Parser, Payload};

/// Bytes of a function's name. Those of deeply generic Rust and C++ have some thousands.
const MAX_NAME: usize = 64 << 10;

/// What the first letter of the section's name becomes.
const HIDDEN: u8 = b'-';

/// Why a component is not compiled that the compiler took: it found something in it that is not found here.
pub(super) const UNREADABLE: &str = "its sections cannot be read";

/// Hides the names of each module in which one is too long. Returns whether all sections could be read.
pub(super) fn hide_long(wasm: &mut [u8]) -> bool {
    let (mut hidden, mut is_read) = (Vec::new(), true);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(Payload::CustomSection(section)) if is_too_long(&section) => {
                // What follows the name of a section is its data.
                let data = usize::try_from(section.data_offset()).ok();
                hidden.extend(data.and_then(|data| data.checked_sub(section.name().len())));
            }
            Ok(_) => {}
            Err(_) => is_read = false,
        }
    }
    for at in hidden {
        if let Some(letter) = wasm.get_mut(at) {
            *letter = HIDDEN;
        }
    }
    is_read
}

fn is_too_long(section: &CustomSectionReader<'_>) -> bool {
    let KnownCustom::Name(names) = section.as_known() else { return false };
    names.into_iter().any(|names| match names {
        Ok(Name::Function(names)) => names.into_iter().any(|name| name.map_or(true, |name| name.name.len() > MAX_NAME)),
        Ok(_) => false,
        // What comes before the mistake is kept by the compiler.
        Err(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_are_found_wherever_the_module_is() {
        let component = |length: usize| {
            let module = format!("(core module (func ${} unreachable))", "f".repeat(length));
            wat::parse_str(format!("(component (component {module}) (core module (func $g nop)))")).unwrap()
        };
        for (length, is_hidden) in [(10, false), (MAX_NAME, false), (MAX_NAME + 1, true)] {
            let before = component(length);
            let mut wasm = before.clone();
            assert!(hide_long(&mut wasm));
            let changed = before.iter().zip(&wasm).filter(|(before, after)| before != after).count();
            assert_eq!(changed, usize::from(is_hidden), "{length}");
            // The other module's names are still there.
            let names = wasm.windows(5).filter(|window| *window == b"\x04name").count();
            assert_eq!(names, if is_hidden { 1 } else { 2 });
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let mut wasm = wat::parse_str("(component (core module (func $g nop)))").unwrap();
        wasm.truncate(wasm.len() - 2);
        assert!(!hide_long(&mut wasm));
    }
}
