//! The interfaces of `wit/inventory.wit`, as wit-bindgen wants them.

#![allow(missing_docs, unsafe_code, reason = "most of it is generated, and documented in WIT")]

wit_bindgen::generate!({ path: ["../../wit", "wit"], world: "acme:inventory/inventory", generate_all });

use self::{
    exports::acme::inventory::{
        api::{self, Features, Flavor, JsonValue, MissingInstance, Placement, Problem, Reservation, Zone},
        audit_log,
    },
    nova::rpc::{log, request_info},
};
use crate::stock::{self, Host};

struct Inventory;

export!(Inventory);

impl api::Guest for Inventory {
    fn reserve(flavor: Flavor, count: Option<u32>, placement: Option<Placement>) -> Result<Vec<Reservation>, Problem> {
        if flavor.vcpus == 0 {
            return Err(Problem::ValueError);
        }
        let placement = placement.unwrap_or(Placement::Anywhere);
        if let Placement::Beside(instance) = &placement
            && stock::host_of(instance).is_none()
        {
            return Err(Problem::InstanceNotFound(MissingInstance { instance_id: instance.clone() }));
        }
        let hosts = stock::room(flavor.vcpus, |host| fits(host, &flavor, &placement));
        let count = usize::try_from(count.unwrap_or(1)).unwrap_or(usize::MAX);
        if hosts.len() < count {
            return Err(Problem::NoValidHost(format!("No valid host was found. {} of {count} fit.", hosts.len())));
        }
        let reserve = |host: &&Host| Reservation {
            host: host.name.to_owned(),
            zone: if host.north { Zone::North } else { Zone::FarSouth },
            share: f64::from(flavor.vcpus) / f64::from(host.vcpus),
            metadata: flavor.metadata.clone(),
        };
        Ok(hosts.iter().take(count).map(reserve).collect())
    }

    fn add(a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn total(a: i64, b: i64, c: u32, d: u32, e: f64, f: f64, g: i16, h: u8, i: bool, j: i32) -> f64 {
        let integers = a.wrapping_add(b) + i64::from(c) + i64::from(d) + i64::from(g) + i64::from(h) + i64::from(j);
        integers as f64 + e + f + f64::from(u8::from(i))
    }

    fn reversed(mut data: Vec<u8>) -> Vec<u8> {
        data.reverse();
        data
    }

    fn echo(value: JsonValue) -> JsonValue {
        value
    }
}

fn fits(host: &Host, flavor: &Flavor, placement: &Placement) -> bool {
    let zone = if host.north { "north" } else { "far_south" };
    let placed = match placement {
        Placement::Anywhere => true,
        Placement::Beside(instance) => stock::host_of(instance) == Some(host.name),
        Placement::Zones(zones) => zones.iter().any(|wanted| wanted == zone),
    };
    let when = |has: bool, feature| if has { feature } else { Features::empty() };
    let has = when(host.ssd, Features::SSD) | when(host.gpu, Features::GPU);
    placed && flavor.needs & has == flavor.needs && !flavor.avoid.iter().any(|name| name == host.name)
}

impl audit_log::Guest for Inventory {
    fn user() -> Result<String, String> {
        let user = request_info::context_entry("user_id").ok_or("nobody asks")?;
        // A JSON string without escapes, as identifiers are.
        Ok(user.trim_matches('"').to_owned())
    }

    fn note(line: String) {
        log::write(log::Level::Info, &line);
    }

    fn fail() {
        log::panicking("asked to");
        panic!("asked to");
    }
}
