//! The images that the memories of a component's instances begin as.
//!
//! Before it: [`super::Sandbox::load`] has the code. After it: instances are made of them. Left alone, wasmtime makes them at the
//! first instance, which is a request's. It seals a file in memory for each, and Linux says `EBUSY` to that while it has a page
//! of the file in its hands itself, as it moves pages under pressure. That passes.

use std::time::Duration;

use wasmtime::component::Component;

use super::{LoadError, chain};

/// How often it is tried: for two seconds.
const ATTEMPTS: u32 = 40;

/// How long the next attempt waits.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes the images; blocks.
///
/// # Errors
///
/// [`LoadError::Images`] where it cannot be done.
pub(super) fn make(component: &Component) -> Result<(), LoadError> {
    attempt(PAUSE, || component.initialize_copy_on_write_image()).map_err(|error| LoadError::Images(chain(&error)))
}

/// Does something that may fail for a moment.
fn attempt<E>(pause: Duration, mut work: impl FnMut() -> Result<(), E>) -> Result<(), E> {
    for _ in 1..ATTEMPTS {
        if work().is_ok() {
            return Ok(());
        }
        std::thread::sleep(pause);
    }
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_for_a_moment_is_tried_again_and_not_for_ever() {
        let mut tries = 0;
        let mut fails = |times| {
            tries = 0;
            let done = attempt(Duration::ZERO, || {
                tries += 1;
                if tries > times { Ok(()) } else { Err("busy") }
            });
            (done, tries)
        };
        assert_eq!(fails(0), (Ok(()), 1));
        assert_eq!(fails(2), (Ok(()), 3));
        assert_eq!(fails(u32::MAX), (Err("busy"), ATTEMPTS));
    }
}
