//! How the program says no: whatever went wrong becomes one sentence.

use std::error::Error as _;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use clap::error::ErrorKind;
use maetok::Error;

/// An error with all that caused it.
pub fn of_error(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let said = on_one_line(&cause.to_string());
        let said = said.trim_end_matches('.');
        if text.is_empty() {
            said.clone_into(&mut text);
        } else if !text.ends_with(said) {
            // Many messages quote their cause already.
            text = format!("{text}: {}", within_a_sentence(said));
        }
    }
    text + "."
}

/// Arguments that cannot be used: the library's own words where it refused a value, otherwise what clap says in a
/// paragraph, and whose help to read.
pub fn of_arguments(error: &clap::Error, command: &str) -> String {
    if let Some(ours) = error.source().and_then(|source| source.downcast_ref::<Error>()) {
        return ours.to_string();
    }
    let text = error.to_string();
    let paragraph: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).collect();
    let sentence = on_one_line(&paragraph.join("\n"));
    let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
    format!("{}; see {command} --help.", capitalised(sentence))
}

/// Whether clap's answer is the help or the version that was asked for.
pub fn was_asked_for(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// Where panics happened, in their order: one in a worker thread makes another in the thread that waits for it.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on a panic leaves its place for [`caught`] and says nothing.
pub fn note_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "?".to_owned(), |at| format!("{}:{}", at.file(), at.line()));
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(place);
    }));
}

/// Runs `work`. A panic is a mistake of ours; it still ends with a sentence, and with what a report of it needs.
///
/// # Errors
/// That sentence.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let places = PANICS.lock().unwrap_or_else(PoisonError::into_inner).join(", then ");
        format!("Something went wrong inside maetok at {places}; please report it with the command you ran.")
    })
}

fn on_one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Names, and paths above all, stay as they are.
fn within_a_sentence(text: &str) -> String {
    let common = ["The ", "There ", "This ", "A "].iter().any(|word| text.starts_with(word));
    if common { text[..1].to_lowercase() + &text[1..] } else { text.to_owned() }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::thread;

    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn a_chain_of_causes_becomes_one_sentence_that_repeats_nothing() {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        let quoted = Err::<(), _>(Error::read("in.png", missing())).context("The card is missing").unwrap_err();
        assert_eq!(of_error(&quoted), "The card is missing: in.png could not be read: no such file.");
        let ours = Err::<(), _>(Error::setting("steps", 0, "from 1 to 9")).context("The run cannot go on").unwrap_err();
        assert_eq!(of_error(&ours), "The run cannot go on: the setting steps is 0, but it must be from 1 to 9.");
        let lines = anyhow!("two\n\n  lines\n");
        assert_eq!(of_error(&lines), "two lines.");
    }

    #[test]
    fn a_panic_in_a_worker_thread_is_one_sentence_with_its_place() {
        // Of the whole process: put back, so that other tests can say why they fail.
        let before = panic::take_hook();
        note_panics();
        let sentence = caught(|| {
            thread::scope(|scope| {
                let worker = scope.spawn(|| panic!("a mistake"));
                worker.join().expect("the worker panicked");
            });
        });
        panic::set_hook(before);
        let sentence = sentence.unwrap_err();
        assert_eq!(sentence.matches("Something went wrong").count(), 1);
        assert_eq!(sentence.matches("refusal.rs:").count(), 2, "{sentence}");
        assert_eq!(caught(|| 3), Ok(3));
    }
}
