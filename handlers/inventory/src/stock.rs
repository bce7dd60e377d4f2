//! A few hosts, and how much fits on them. Plain Rust, tested natively.

/// A host.
#[derive(Debug)]
pub struct Host {
    /// Its name.
    pub name: &'static str,
    /// Whether it is in the northern zone.
    pub north: bool,
    /// Processors.
    pub vcpus: u32,
    /// Whether it has solid-state disks.
    pub ssd: bool,
    /// Whether it has a graphics processor.
    pub gpu: bool,
}

/// All hosts. A handler keeps nothing between requests; a real one would ask another service.
pub const HOSTS: [Host; 3] = [
    Host { name: "n1", north: true, vcpus: 16, ssd: true, gpu: false },
    Host { name: "n2", north: true, vcpus: 64, ssd: true, gpu: true },
    Host { name: "s1", north: false, vcpus: 32, ssd: false, gpu: false },
];

/// The instances that run already, and their hosts.
pub const INSTANCES: [(&str, &str); 2] = [("i-1", "n2"), ("i-2", "s1")];

/// The host of an instance.
#[must_use]
pub fn host_of(instance: &str) -> Option<&'static str> {
    INSTANCES.iter().find(|(name, _)| *name == instance).map(|(_, host)| *host)
}

/// The hosts with room for `vcpus`, the fullest first.
#[must_use]
pub fn room(vcpus: u32, fits: impl Fn(&Host) -> bool) -> Vec<&'static Host> {
    let mut hosts: Vec<_> = HOSTS.iter().filter(|host| host.vcpus >= vcpus && fits(host)).collect();
    hosts.sort_by_key(|host| host.vcpus);
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_host_that_fits_comes_first() {
        let names =
            |vcpus, ssd: bool| room(vcpus, |host| host.ssd || !ssd).iter().map(|host| host.name).collect::<Vec<_>>();
        assert_eq!(names(1, false), ["n1", "s1", "n2"]);
        assert_eq!(names(20, true), ["n2"]);
        assert!(names(65, false).is_empty());
        assert_eq!((host_of("i-1"), host_of("i-9")), (Some("n2"), None));
    }
}
