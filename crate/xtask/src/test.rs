//! Every test of the project, as named and timed steps; a failing step does not stop the others.
//!
//! The heavy compilations come one after the other: each fills all cores by itself, and memory with
//! it. Clippy and the Rust tests use the one release profile (see the workspace manifest), so that
//! Burn is checked once, compiled natively once and compiled for the browser once.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::front_end;
use crate::process;
use crate::project::Project;
use crate::setup;
use crate::wasm::{self, Compiler};

/// Options of `cargo xtask test`: for developers in a hurry. Continuous integration uses none.
#[derive(Args, Debug, Default)]
pub struct TestArgs {
    /// Run only this step, after set-up (may be given more than once)
    #[arg(long, value_enum, value_name = "STEP")]
    only: Vec<Step>,
    /// Leave this step out (may be given more than once)
    #[arg(long, value_enum, value_name = "STEP")]
    skip: Vec<Step>,
    /// Where the compiler for WebAssembly comes from
    #[arg(long, value_enum, default_value_t = Compiler::Auto)]
    compiler: Compiler,
}

/// The steps, in the order in which they run: what is quick to fail comes first.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Install what is missing
    SetUp,
    /// cargo fmt: the sources are formatted
    Format,
    /// The recipe of the training pictures
    DataRecipe,
    /// cargo clippy, warnings denied
    Clippy,
    /// cargo test, in which a missing GPU device is a failure
    RustTests,
    /// Compile, bind and optimise the engine for the browser
    Wasm,
    /// The TypeScript type checker
    Types,
    /// The front's tests that need no browser
    UnitTests,
    /// Build the page
    Page,
    /// The page in Chromium and Firefox
    Browsers,
}

impl Step {
    /// As on the command line.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn run(self, project: &Project, compiler: Compiler) -> Result<()> {
        let cargo = |arguments: &[&str], variables: &[(&str, &str)]| {
            let mut command = Command::new("cargo");
            command.args(arguments).envs(variables.iter().copied());
            process::run(command.current_dir(&project.root))
        };
        match self {
            Self::SetUp => setup::for_tests(project),
            Self::Format => cargo(&["fmt", "--all", "--check"], &[]),
            Self::DataRecipe => front_end::run_npm(&project.toon(), &["test"], &[]),
            Self::Clippy => {
                let all = ["clippy", "--release", "--workspace", "--all-targets"];
                cargo(&[&all[..], &["--", "-D", "warnings"]].concat(), &[])
            }
            // Without the variable, a GPU test on a machine with no device would be skipped.
            Self::RustTests => {
                cargo(&["test", "--release", "--workspace", "--no-fail-fast"], &[("MAETOK_REQUIRE_GPU", "1")])
            }
            Self::Wasm => wasm::build(project, compiler),
            Self::UnitTests => front_end::unit_tests(project),
            // These read what earlier steps made. With `--only` those did not run, and a test of
            // yesterday's engine would say nothing; when they did, nothing is made again.
            Self::Types => wasm::build(project, compiler).and_then(|()| front_end::check_types(project)),
            Self::Page => wasm::build(project, compiler).and_then(|()| front_end::build(project)),
            Self::Browsers => wasm::build(project, compiler)
                .and_then(|()| front_end::build(project))
                .and_then(|()| front_end::browser_tests(project)),
        }
    }
}

impl TestArgs {
    /// Set-up runs for every choice of steps, since it costs nothing once done; `--skip` leaves it out too.
    fn wants(&self, step: Step) -> bool {
        let chosen = self.only.is_empty() || self.only.contains(&step) || step == Step::SetUp;
        chosen && !self.skip.contains(&step)
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// One line of the table at the end.
struct Outcome {
    step: Step,
    time: Duration,
    verdict: Verdict,
    /// The sentence of a failure.
    message: String,
}

/// Runs the steps, then prints the table.
///
/// # Errors
/// None of its own: a failed step is a line of the table and an exit status.
pub fn run(project: &Project, args: &TestArgs) -> Result<ExitCode> {
    let mut outcomes = Vec::new();
    for &step in Step::value_variants() {
        if !args.wants(step) {
            outcomes.push(Outcome { step, time: Duration::ZERO, verdict: Verdict::Skipped, message: String::new() });
            continue;
        }
        println!("\n=== {} ===", step.name());
        let start = Instant::now();
        let result = step.run(project, args.compiler);
        let (verdict, message) = match result {
            Ok(()) => (Verdict::Passed, String::new()),
            Err(error) => (Verdict::Failed, format!("{error:#}")),
        };
        if verdict == Verdict::Failed {
            println!("{} failed: {message}", step.name());
        }
        outcomes.push(Outcome { step, time: start.elapsed(), verdict, message });
    }
    println!("\n{}", table(&outcomes));
    let failed = outcomes.iter().any(|outcome| outcome.verdict == Verdict::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Step, seconds, verdict; then what went wrong; last, alone on its line, the count.
fn table(outcomes: &[Outcome]) -> String {
    let mut lines = vec![format!("{:<12} {:>8}  verdict", "step", "seconds")];
    for Outcome { step, time, verdict, message } in outcomes {
        let (seconds, verdict) = match verdict {
            Verdict::Passed => (format!("{:.1}", time.as_secs_f64()), "passed".to_owned()),
            Verdict::Failed => (format!("{:.1}", time.as_secs_f64()), format!("FAILED: {message}")),
            Verdict::Skipped => ("-".to_owned(), "SKIPPED, as asked".to_owned()),
        };
        lines.push(format!("{:<12} {seconds:>8}  {verdict}", step.name()));
    }
    let count = |wanted| outcomes.iter().filter(|outcome| outcome.verdict == wanted).count();
    let total: Duration = outcomes.iter().map(|outcome| outcome.time).sum();
    lines.push(format!("{:<12} {:>8.1}", "in all", total.as_secs_f64()));
    lines.push(String::new());
    lines.push(format!("{} passed, {} failed", count(Verdict::Passed), count(Verdict::Failed)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn outcome(step: Step, verdict: Verdict) -> Outcome {
        let message = if verdict == Verdict::Failed { "it broke".to_owned() } else { String::new() };
        Outcome { step, time: Duration::from_millis(1500), verdict, message }
    }

    #[test]
    fn the_last_line_is_the_count_alone() {
        let text = table(&[outcome(Step::Format, Verdict::Passed), outcome(Step::Clippy, Verdict::Failed)]);
        assert_eq!(text.lines().last(), Some("1 passed, 1 failed"));
        assert!(text.contains("clippy            1.5  FAILED: it broke"), "{text}");
    }

    #[test]
    fn a_step_left_out_is_shown_and_counts_as_neither() {
        let text = table(&[outcome(Step::Format, Verdict::Passed), outcome(Step::Browsers, Verdict::Skipped)]);
        assert!(text.contains("browsers            -  SKIPPED"), "{text}");
        assert_eq!(text.lines().last(), Some("1 passed, 0 failed"));
    }

    #[test]
    fn without_options_every_step_runs() {
        let all = TestArgs::default();
        assert!(Step::value_variants().iter().all(|step| all.wants(*step)));
    }

    #[test]
    fn only_and_skip_choose() {
        let args = TestArgs { only: vec![Step::Format, Step::Wasm], skip: vec![Step::Wasm], ..TestArgs::default() };
        let wanted: Vec<_> = Step::value_variants().iter().filter(|step| args.wants(**step)).collect();
        assert_eq!(wanted, [&Step::SetUp, &Step::Format]);
        let args = TestArgs { skip: vec![Step::SetUp], ..args };
        assert!(!args.wants(Step::SetUp));
    }

    /// `cargo run -p maetok-cli` after `cargo test --workspace` must not compile Burn a second time. It
    /// would, as soon as some member of the workspace asks for a feature of a crate below Burn that
    /// the library does not ask for: then add that feature to the list in `crate/maetok/Cargo.toml`.
    #[test]
    fn the_command_line_and_the_workspace_share_one_compiled_burn() {
        let features = |selection: &[&str]| -> BTreeMap<String, BTreeSet<String>> {
            let mut command = Command::new("cargo");
            let form = ["--edges", "normal,build", "--prefix", "none", "--format", "{p}\t{f}"];
            let project = Project::find().expect("inside the project");
            command.arg("tree").args(form).args(selection).current_dir(project.root);
            let mut found = BTreeMap::<_, BTreeSet<_>>::new();
            for line in process::output(&mut command).expect("cargo tree").lines().filter(|line| !line.is_empty()) {
                let (package, features) = line.trim_end_matches(" (*)").split_once('\t').expect("our form");
                found.entry(package.to_owned()).or_default().insert(features.trim_end().to_owned());
            }
            found
        };
        let workspace = features(&["--workspace"]);
        let alone = features(&["--package", "maetok-cli"]);
        // What Burn itself stands on; the program's own crates may differ and compile in seconds.
        let burn = features(&["--package", "maetok", "--no-default-features"]);
        let differ: Vec<_> = burn
            .keys()
            .filter(|package| !package.starts_with("maetok"))
            // More than one set where a crate is built for programs and for build scripts.
            .filter(|package| !alone[*package].is_subset(&workspace[*package]))
            .map(|package| format!("{package}: {:?}, with the workspace {:?}", alone[package], workspace[package]))
            .collect();
        assert!(differ.is_empty(), "{}", differ.join("\n"));
    }
}
