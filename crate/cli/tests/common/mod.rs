//! Runs the real program.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program, with no keyboard and its output kept. What it remembers of adapters stays among what was built.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maetok"));
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// UTF-8, as everything that is printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A path as an argument.
pub fn name(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What the program says when it succeeds, as it must.
pub fn succeeded(command: &mut Command) -> Output {
    let output = command.output().expect("starts");
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    output
}

/// The one sentence of a refusal.
pub fn sentence(arguments: &[&str], output: &Output) -> String {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(
        stderr.ends_with(".\n") && stderr.lines().count() == 1,
        "{arguments:?} gave something else than a sentence: {stderr}"
    );
    assert!(!stderr.contains("went wrong inside"), "{stderr}");
    stderr.trim_end().to_owned()
}

/// Runs what must be refused; returns the one sentence.
pub fn refused(arguments: &[&str]) -> String {
    sentence(arguments, &program(arguments).output().expect("starts"))
}
