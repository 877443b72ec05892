//! From TypeScript to a page, and the front's own tests. The commands are npm scripts of
//! `web/package.json`, so that `npm run …` does the same by hand.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::compress;
use crate::process;
use crate::project::Project;
use crate::serve;
use crate::setup;
use crate::stamp::{self, Input};

/// What lies in `web/` and does not go into the page.
const NOT_INPUT: [&str; 6] = ["bench", "dist", "node_modules", "README.md", "screenshots", "test"];

/// Builds the page into [`Project::page`] if anything it is made of changed. The engine's bindings
/// must be there: [`crate::wasm::build`].
///
/// # Errors
/// If npm's build fails.
pub fn build(project: &Project) -> Result<()> {
    setup::npm_packages(&project.web(), "to build the page")?;
    let mut inputs = Vec::new();
    let folder = project.web();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if !NOT_INPUT.iter().any(|name| entry.file_name() == *name) {
            // The name counts as well as what is under it.
            inputs.push((entry.file_name(), Input::Path(entry.path())));
        }
    }
    inputs.sort_by(|one, other| one.0.cmp(&other.0));
    let mut inputs: Vec<_> =
        inputs.into_iter().flat_map(|(name, path)| [Input::Text(name.to_string_lossy().into_owned()), path]).collect();
    inputs.push(Input::Text(process::output(Command::new("node").arg("--version"))?));
    stamp::when_changed(&project.notes(), "page", &inputs, &[project.page()], || {
        println!("building the page.");
        npm(project, &["run", "build"], &[])?;
        println!("compressing it for the download.");
        compress::folder(&project.page(), &project.notes().join("compressed"))
    })?;
    Ok(())
}

/// The type checker, over the page, the worker and their tests.
///
/// # Errors
/// If it finds anything.
pub fn check_types(project: &Project) -> Result<()> {
    npm(project, &["run", "typecheck"], &[])
}

/// The tests that need no browser.
///
/// # Errors
/// If one fails.
pub fn unit_tests(project: &Project) -> Result<()> {
    npm(project, &["test"], &[])
}

/// The tests in Chromium and Firefox. The variables tell them where [`serve`] serves the page, and which
/// command line draws the pictures that the browsers' are compared with.
///
/// # Errors
/// If one fails, or what they need cannot be built.
pub fn browser_tests(project: &Project) -> Result<()> {
    // By way of the whole workspace: that is how the Rust tests built it, so nothing is compiled again.
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--workspace", "--bin", "maetok"]);
    process::run(cargo.current_dir(&project.root))?;
    let server = serve::in_background(&serve::Site::of(project))?;
    let program = project.target.join("release/maetok");
    let program = program.to_string_lossy();
    let variables = [("MAETOK_ORIGIN", server.origin()), ("MAETOK_CLI", &program)];
    npm(project, &["run", "test:browser"], &variables)
}

fn npm(project: &Project, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    run_npm(&project.web(), arguments, variables)
}

/// Runs an npm script of the package in `folder`.
///
/// # Errors
/// If it fails.
pub fn run_npm(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    process::run(Command::new("npm").args(arguments).envs(variables.iter().copied()).current_dir(folder))
}
