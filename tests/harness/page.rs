//! A browser with the operator's page: Debian's Chromium, driven by `tests/page/driver.py`.
//!
//! Before it: `tests/setup.sh` has installed both. Used by stories that see what an operator sees. What goes wrong in the page by
//! itself fails the story when the browser is closed.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::{PATIENCE, process, repository, tie};

/// A browser with one page. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Page {
    child: Child,
    talk: RefCell<(Option<ChildStdin>, Lines<BufReader<ChildStdout>>)>,
}

/// How wide a page is, and whether it is dark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) scheme: &'static str,
}

/// Somebody's ordinary screen.
pub(crate) const DESK: Screen = Screen { width: 1280, height: 900, scheme: "light" };

impl Page {
    /// Starts the browser, with nothing in it.
    pub(crate) fn start() -> Self {
        let mut command = Command::new(repository().join("target/venv-page/bin/python"));
        command.arg(repository().join("tests/page/driver.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = tie(&mut command).spawn().expect("tests/setup.sh has made target/venv-page");
        let stdin = child.stdin.take().expect("a pipe");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let page = Self { child, talk: RefCell::new((Some(stdin), lines)) };
        page.hear("start");
        page
    }

    /// Starts it with a page.
    pub(crate) fn open(url: &str) -> Self {
        let page = Self::start();
        page.go(url, DESK);
        page
    }

    /// Opens another page, as a browser does that has never been there.
    #[track_caller]
    pub(crate) fn go(&self, url: &str, Screen { width, height, scheme }: Screen) {
        self.ask("open", json!([url, width, height, scheme]));
    }

    /// Has the driver do something, and gives what it says.
    ///
    /// # Panics
    ///
    /// Where it cannot.
    #[track_caller]
    pub(crate) fn ask(&self, what: &str, with: Value) -> Value {
        let line = json!({"do": what, "with": with}).to_string();
        let mut talk = self.talk.borrow_mut();
        writeln!(talk.0.as_mut().expect("it is open"), "{line}").expect("the driver reads");
        drop(talk);
        self.hear(&line)
    }

    /// Waits until something of this selector has this in its text.
    #[track_caller]
    pub(crate) fn shows(&self, selector: &str, text: &str) {
        self.ask("shown", json!([selector, text]));
    }

    /// Waits until nothing of this selector has this in its text.
    #[track_caller]
    pub(crate) fn hides(&self, selector: &str, text: &str) {
        self.ask("gone", json!([selector, text]));
    }

    /// Runs a script in the page.
    #[track_caller]
    pub(crate) fn evaluate(&self, script: &str) -> Value {
        self.ask("evaluate", json!([script]))
    }

    /// Presses a key.
    #[track_caller]
    pub(crate) fn press(&self, key: &str) {
        self.ask("press", json!([key]));
    }

    /// Goes on by the keyboard until the focus is on what is called this.
    #[track_caller]
    pub(crate) fn tab_to(&self, label: &str) {
        self.ask("tab_to", json!([label]));
    }

    /// Complains of whatever keeps people out of the page as it is now.
    #[track_caller]
    pub(crate) fn is_for_everybody(&self, what: &str) {
        let told = self.ask("axe", json!([]));
        assert_eq!(told["violations"], json!([]), "{what}");
        assert!(told["passes"].as_u64() > Some(10), "{told}");
    }

    /// Keeps what is seen, for people: `target/page/NAME.png`.
    #[track_caller]
    pub(crate) fn shot(&self, name: &str) {
        let path = repository().join("target/page").join(format!("{name}.png"));
        self.ask("shot", json!([path.display().to_string()]));
    }

    #[track_caller]
    fn hear(&self, asked: &str) -> Value {
        let line = self.talk.borrow_mut().1.next().expect("the driver answers").expect("it is text");
        let mut answer: Value = serde_json::from_str(&line).expect("it is JSON");
        assert!(answer.get("error").is_none(), "{}: {asked}", answer["error"]);
        answer["result"].take()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let problems = if std::thread::panicking() { Value::Null } else { self.ask("problems", json!([])) };
        // It ends with its input.
        self.talk.get_mut().0 = None;
        process::end(&mut self.child, PATIENCE);
        assert!(problems.as_array().is_none_or(Vec::is_empty), "{problems}");
    }
}
