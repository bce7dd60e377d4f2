//! Demands: by words, in a manifest, and of several together.

use super::*;

fn demands(gates: &[&str], ignore: &[&str]) -> Demands {
    let ignore = ignore.iter().map(|path| (*path).to_owned()).collect();
    Demands::read(&Wishes::of(gates, ignore).unwrap()).unwrap()
}

fn manifest(text: &str) -> Result<Demands, Vec<String>> {
    let mut settings = Settings::default();
    settings.add_file(text).unwrap();
    let demands = Demands::take(&mut settings);
    settings.finish().map(|_| demands).map_err(|problems| problems.0)
}

#[test]
fn gates_are_named_by_words_and_one_word_is_all_of_them() {
    let all = demands(&["all"], &[]);
    assert_eq!(all.to_string(), "interface, imports, grants, recordings=20, latency=1.5x, memory=1.5x");
    assert_eq!(all, demands(&[ALL], &[]));
    let some = demands(&["recordings=50,latency=2x", "grants"], &["/a"]);
    assert_eq!(some.to_string(), "grants, recordings=50, latency=2x");
    assert_eq!(some.ignored, Ignored::parse(&["/a"]).unwrap());
    assert!(!demands(&[] as &[&str], &[]).is_anything() && some.is_anything());
}

#[test]
fn what_makes_no_sense_is_said_with_its_name() {
    let wrong = |gates: &str, ignore: &str| {
        let ignore = ignore.split_whitespace().map(str::to_owned).collect();
        Wishes::of(&[gates], ignore).and_then(|wishes| Terms::read(false, &wishes)).unwrap_err()
    };
    for (gates, ignore, expected) in [
        ("", "", "\"\" is no gate; there are: all, interface, imports"),
        ("speed", "", "\"speed\" is no gate"),
        ("interface=1", "", "\"interface=1\" is no gate"),
        ("recordings=many", "", "recordings: \"many\" is no number"),
        ("recordings=0", "", "gate: recordings: 0 is not from 1 to 1000"),
        ("latency=0.5x", "", "gate: latency: \"0.5x\" is not a factor"),
        ("memory=", "", "gate: memory: \"\" is not a factor"),
        ("all", "updated_at", "gate: ignore: \"updated_at\" is no path in JSON"),
    ] {
        let error = wrong(gates, ignore);
        assert!(error.starts_with(expected), "{error}");
    }
    let wishes = Wishes { imports: true, ..Wishes::default() };
    assert!(Terms::read(true, &wishes).unwrap_err().contains("leave out force, or gate"));
    assert_eq!(Terms::read(true, &Wishes::default()), Ok(Terms::Force));
}

#[test]
fn a_manifest_names_them_as_settings() {
    assert_eq!(manifest(""), Ok(Demands::default()));
    let text = "[gate]\ninterface = true\nimports = true\ngrants = true\nrecordings = 20\nlatency = \"1.5x\"\n\
                memory = \"1.5x\"\nignore = [\"/**/updated_at\"]";
    assert_eq!(manifest(text), Ok(demands(&["all"], &["/**/updated_at"])));
    let problems = manifest("[gate]\nrecordings = 0\nignore = [\"a\"]\nlatency = \"fast\"\nimport = true").unwrap_err();
    let expected = [
        "gate.ignore: \"a\" is no path",
        "gate.recordings: must be from 1",
        "gate.latency: \"fast\"",
        "gate.import: no such",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problems:?}");
    }
}

#[test]
fn the_strictest_demand_holds_and_a_version_lifts_nothing_of_what_serves() {
    let nothing = Demands::default();
    let serving = demands(&["interface,recordings=5,latency=2x"], &["/old"]);
    let new = demands(&["recordings=50,latency=1.2x,memory"], &["/new"]);
    let asked = demands(&["grants"], &["/asked"]);
    let together = Demands::together(&serving, &new, &asked);
    assert_eq!(together, demands(&["interface,grants,recordings=50,latency=1.2x,memory=1.5x"], &["/old", "/asked"]));
    assert_eq!(Demands::together(&serving, &nothing, &nothing), serving);
    // Where the serving version demands no recordings, the new one says what may differ.
    assert_eq!(Demands::together(&nothing, &new, &asked).ignored, Ignored::parse(&["/new", "/asked"]).unwrap());
    // An operator's demand is not lifted either.
    for words in ["recordings", "latency", "memory"] {
        let asked = demands(&[words], &["/asked"]);
        assert_eq!(Demands::together(&nothing, &new, &asked).ignored, asked.ignored, "{words}");
    }
}

#[test]
fn times_and_memory_are_measured_on_recordings_also_where_these_may_differ() {
    assert_eq!(demands(&["latency"], &[]).rehearsals(), Some(RECORDINGS));
    assert_eq!(demands(&["memory,recordings=3"], &[]).rehearsals(), Some(3));
    assert_eq!(demands(&["interface"], &[]).rehearsals(), None);
}
