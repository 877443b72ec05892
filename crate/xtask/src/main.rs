//! `cargo xtask demo | test | data | bench`: everything this project needs besides Cargo itself.
//!
//! `demo` sets up what is missing, builds the page and serves it. `test` sets up the test machine and
//! runs every test of the project. `data` builds the training pictures. `bench` measures speed beside peers. Whatever is about to be
//! installed is announced, with the reason, before it is.
//!
//! One question, one file: [`setup`] (what must be installed?), [`wasm`] (how does Rust become a
//! browser module?), [`front_end`] (how does TypeScript become a page?), [`serve`] (what does the
//! browser receive?), [`test`] (what is tested?), [`mod@bench`] (how fast is it?).

mod bench;
mod compress;
mod data;
mod front_end;
mod process;
mod project;
mod serve;
mod setup;
mod stamp;
mod test;
mod wasm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use bench::BenchArgs;
use data::DataArgs;
use project::Project;
use test::TestArgs;
use wasm::Compiler;

/// What was asked for on the command line.
#[derive(Parser, Debug)]
#[command(bin_name = "cargo xtask", about = "Sets up, builds, serves and tests the project")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Build the page and serve it on this machine
    Demo(DemoArgs),
    /// Run every test of the project
    Test(TestArgs),
    /// Build the training pictures, or check those that are there
    Data(DataArgs),
    /// Measure speed beside peers, natively and in both browsers
    Bench(BenchArgs),
}

/// Options of `cargo xtask demo`.
#[derive(Args, Debug)]
struct DemoArgs {
    /// Port to serve on; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// Open the page in the default browser
    #[arg(long)]
    open: bool,
    /// Where the compiler for WebAssembly comes from
    #[arg(long, value_enum, default_value_t = Compiler::Auto)]
    compiler: Compiler,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.task) {
        Ok(code) => code,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> Result<ExitCode> {
    let project = Project::find()?;
    match task {
        Task::Demo(args) => demo(&project, args).map(|()| ExitCode::SUCCESS),
        Task::Test(args) => test::run(&project, args),
        Task::Data(args) => data::run(&project, args).map(|()| ExitCode::SUCCESS),
        Task::Bench(args) => bench::run(&project, args).map(|()| ExitCode::SUCCESS),
    }
}

/// Builds what is not yet built, then serves until Ctrl-C.
fn demo(project: &Project, args: &DemoArgs) -> Result<()> {
    // Taken first: a port in use should be known before ten minutes of compiling, not after.
    let listener = serve::listen(args.port)?;
    setup::node()?;
    wasm::build(project, args.compiler)?;
    front_end::build(project)?;
    println!("{}", compress::report(project)?);
    serve::until_interrupted(listener, &serve::Site::of(project), args.open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn demo_serves_on_8080_unless_told_otherwise() {
        let Ok(Cli { task: Task::Demo(plain) }) = parse("xtask demo") else { panic!("demo") };
        assert_eq!((plain.port, plain.open), (8080, false));
        let Ok(Cli { task: Task::Demo(told) }) = parse("xtask demo --port 9000 --open") else {
            panic!("demo with options")
        };
        assert_eq!((told.port, told.open), (9000, true));
    }

    #[test]
    fn a_port_beyond_65535_is_refused() {
        assert!(parse("xtask demo --port 65536").is_err());
    }

    #[test]
    fn an_unknown_test_step_is_refused_with_the_list_of_steps() {
        let message = parse("xtask test --only nonsense").expect_err("no such step").to_string();
        assert!(message.contains("clippy") && message.contains("browsers"), "{message}");
    }
}
