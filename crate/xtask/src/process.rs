//! Other programs: shown before they run, never waiting for a keyboard, and failing in one sentence.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Result, anyhow, bail};

/// The command as a person would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Shows the command, runs it with its output passed on, and waits.
///
/// # Errors
/// If the program is not there or ends with anything but success.
pub fn run(command: &mut Command) -> Result<()> {
    println!("  $ {}", line(command));
    // No keyboard: continuous integration has none, and a question nobody sees would hang for ever.
    let status = command.stdin(Stdio::null()).status().map_err(|error| not_started(command, &error))?;
    check(command, status)
}

/// Runs the command quietly and gives what it wrote to its standard output.
///
/// # Errors
/// As [`run`]; what it wrote to its standard error is part of the message.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| not_started(command, &error))?;
    check(command, output.status)
        .map_err(|error| anyhow!("{error}\n{}", String::from_utf8_lossy(&output.stderr).trim_end()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the command can be run and says yes.
pub fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn not_started(command: &Command, error: &std::io::Error) -> anyhow::Error {
    let program = command.get_program().to_string_lossy();
    match error.kind() {
        ErrorKind::NotFound => anyhow!("the program `{program}` was not found"),
        _ => anyhow!("`{program}` could not be started: {error}"),
    }
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    match (status.success(), status.code()) {
        (true, _) => Ok(()),
        (false, Some(code)) => bail!("`{}` ended with exit status {code}", line(command)),
        (false, None) => bail!("`{}` was ended by a signal", line(command)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program-here")).expect_err("missing");
        assert_eq!(error.to_string(), "the program `no-such-program-here` was not found");
    }

    #[test]
    fn a_failure_names_the_command_and_its_exit_status() {
        let error = run(Command::new("cargo").arg("no-such-subcommand")).expect_err("fails");
        assert_eq!(error.to_string(), "`cargo no-such-subcommand` ended with exit status 101");
    }

    #[test]
    fn output_is_what_the_program_wrote() {
        let text = output(Command::new("cargo").arg("--version")).expect("cargo runs");
        assert!(text.starts_with("cargo 1."), "{text}");
    }
}
