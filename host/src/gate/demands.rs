//! What is demanded of a new version.
//!
//! Before it: a manifest's section `[gate]`, or an operator's words. After it: [`crate::catalog`] keeps to it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{factor::Factor, replay::paths::Ignored, settings::Settings};

/// Recordings of each method, where no number is named.
pub const RECORDINGS: u32 = 20;

/// The most of each method: they are replayed within a minute.
const MOST_RECORDINGS: u32 = 1000;

/// How much slower, and how much larger, where no factor is named.
pub const FACTOR: &str = "1.5x";

/// Every gate, in the order in which they are told.
pub const ALL: &str = "interface,imports,grants,recordings,latency,memory";

/// Stands for all of them.
const EVERY: &str = "all";

/// What an operator demands, in text. What is absent is not demanded by him; a manifest may do so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wishes {
    /// Whether callers of the version that serves must be served as well.
    #[serde(default)]
    pub interface: bool,
    /// Whether it must import nothing new.
    #[serde(default)]
    pub imports: bool,
    /// Whether its manifest must grant nothing more.
    #[serde(default)]
    pub grants: bool,
    /// How many of the latest recordings of each method must end as they did.
    #[serde(default)]
    pub recordings: Option<u32>,
    /// Where results may differ: JSON pointers, with `*` for any name or position and `**` for any depth.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// How much slower it may be in those recordings: `1.5x`.
    #[serde(default)]
    pub latency: Option<String>,
    /// How much more memory it may take in them: `1.5x`.
    #[serde(default)]
    pub memory: Option<String>,
}

/// What is demanded of a new version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demands {
    /// It breaks no caller of the version that serves.
    pub interface: bool,
    /// It imports nothing that the version that serves does not.
    pub imports: bool,
    /// Its manifest grants nothing that the other one's does not.
    pub grants: bool,
    /// So many of the latest recordings of each method end as they did.
    pub recordings: Option<u32>,
    /// Where their results may differ.
    pub ignored: Ignored,
    /// It is slower by no more than this.
    pub latency: Option<Factor>,
    /// It takes no more memory than this.
    pub memory: Option<Factor>,
}

/// On which terms an operator brings a version.
#[derive(Clone, Debug, PartialEq)]
pub enum Terms {
    /// It serves whatever it drops, and passes no gate.
    Force,
    /// It passes the gates of the manifests, and these.
    Gated(Demands),
}

impl Wishes {
    /// Reads gates by their names, as `recordings=50` or `all`, and paths.
    ///
    /// # Errors
    ///
    /// Which word is no gate.
    pub fn of<W: AsRef<str>>(gates: &[W], ignore: Vec<String>) -> Result<Self, String> {
        let mut wishes = Self { ignore, ..Self::default() };
        for word in gates.iter().flat_map(|gates| gates.as_ref().split(',')) {
            match word.trim() {
                EVERY => ALL.split(',').try_for_each(|gate| wishes.add(gate))?,
                gate => wishes.add(gate)?,
            }
        }
        Ok(wishes)
    }

    /// Whether nothing is wished for.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, word: &str) -> Result<(), String> {
        let (gate, value) = word.split_once('=').map_or((word, None), |(gate, value)| (gate, Some(value)));
        let factor = || Some(value.unwrap_or(FACTOR).to_owned());
        match (gate, value) {
            ("interface", None) => self.interface = true,
            ("imports", None) => self.imports = true,
            ("grants", None) => self.grants = true,
            ("recordings", None) => self.recordings = Some(RECORDINGS),
            ("recordings", Some(number)) => {
                let wrong = |_| format!("recordings: {number:?} is no number");
                self.recordings = Some(number.parse().map_err(wrong)?);
            }
            ("latency", _) => self.latency = factor(),
            ("memory", _) => self.memory = factor(),
            _ => return Err(format!("{word:?} is no gate; there are: {EVERY}, {}", ALL.replace(',', ", "))),
        }
        Ok(())
    }
}

impl Demands {
    /// Reads what is wished for.
    ///
    /// # Errors
    ///
    /// What is wrong, for the operator.
    pub fn read(wishes: &Wishes) -> Result<Self, String> {
        let Wishes { interface, imports, grants, recordings, ignore, latency, memory } = wishes;
        let factor = |name: &str, text: &Option<String>| {
            text.as_deref().map(str::parse).transpose().map_err(|error: String| format!("{name}: {error}"))
        };
        Ok(Self {
            interface: *interface,
            imports: *imports,
            grants: *grants,
            recordings: match recordings {
                Some(number) if !(1..=MOST_RECORDINGS).contains(number) => {
                    return Err(format!("recordings: {number} is not from 1 to {MOST_RECORDINGS}"));
                }
                recordings => *recordings,
            },
            ignored: Ignored::parse(ignore).map_err(|error| format!("ignore: {error}"))?,
            latency: factor("latency", latency)?,
            memory: factor("memory", memory)?,
        })
    }

    /// Takes a manifest's section.
    #[must_use]
    pub fn take(settings: &mut Settings) -> Self {
        let ignore = settings.take_optional::<Vec<String>>("gate.ignore").unwrap_or_default();
        let ignored = Ignored::parse(&ignore).unwrap_or_else(|error| {
            settings.problem("gate.ignore", &error);
            Ignored::default()
        });
        let recordings = settings.take_optional::<u32>("gate.recordings");
        if recordings.is_some_and(|number| !(1..=MOST_RECORDINGS).contains(&number)) {
            settings.problem("gate.recordings", &format!("must be from 1 to {MOST_RECORDINGS}"));
        }
        Self {
            interface: settings.take("gate.interface", false),
            imports: settings.take("gate.imports", false),
            grants: settings.take("gate.grants", false),
            recordings,
            ignored,
            latency: settings.take_optional("gate.latency"),
            memory: settings.take_optional("gate.memory"),
        }
    }

    /// What holds for a version: what the one that serves demands of it, what it demands of itself, and what an operator does.
    /// A version cannot lift what others demand of it: where the serving one or the operator demands recordings, those two say what may
    /// differ in them; otherwise the new one does.
    #[must_use]
    pub fn together(serving: &Self, new: &Self, asked: &Self) -> Self {
        let all = [serving, new, asked];
        let any = |of: fn(&Self) -> bool| all.into_iter().any(of);
        let least = |of: fn(&Self) -> Option<Factor>| all.into_iter().filter_map(of).reduce(Factor::stricter);
        let are_demanded = serving.rehearsals().is_some() || asked.rehearsals().is_some();
        let ignored = if are_demanded { &serving.ignored } else { &new.ignored };
        Self {
            interface: any(|one| one.interface),
            imports: any(|one| one.imports),
            grants: any(|one| one.grants),
            recordings: all.into_iter().filter_map(|one| one.recordings).max(),
            ignored: ignored.and(&asked.ignored),
            latency: least(|one| one.latency),
            memory: least(|one| one.memory),
        }
    }

    /// Whether anything is demanded.
    #[must_use]
    pub fn is_anything(&self) -> bool {
        self.interface || self.imports || self.grants || self.rehearsals().is_some()
    }

    /// How many recordings of each method have to be replayed, where any.
    #[must_use]
    pub fn rehearsals(&self) -> Option<u32> {
        let is_measured = self.latency.is_some() || self.memory.is_some();
        self.recordings.or_else(|| is_measured.then_some(RECORDINGS))
    }
}

impl Terms {
    /// Reads an operator's.
    ///
    /// # Errors
    ///
    /// What is wrong, for the operator.
    pub fn read(force: bool, wishes: &Wishes) -> Result<Self, String> {
        match force {
            true if !wishes.is_nothing() => {
                Err("force lets a version past all gates: leave out force, or gate".to_owned())
            }
            true => Ok(Self::Force),
            false => Demands::read(wishes).map(Self::Gated).map_err(|wrong| format!("gate: {wrong}")),
        }
    }

    /// Whether it is by force.
    #[must_use]
    pub fn is_force(&self) -> bool {
        *self == Self::Force
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self::Gated(Demands::default())
    }
}

impl fmt::Display for Demands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, imports, grants, recordings, latency, memory, .. } = self;
        let named = |is_on: bool, name: &str| is_on.then(|| name.to_owned());
        let words = [
            named(*interface, "interface"),
            named(*imports, "imports"),
            named(*grants, "grants"),
            recordings.map(|number| format!("recordings={number}")),
            latency.map(|factor| format!("latency={factor}")),
            memory.map(|factor| format!("memory={factor}")),
        ];
        f.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
#[path = "demands_tests.rs"]
mod tests;
