//! What must be on the machine, and how it gets there.
//!
//! Every function here is cheap when nothing is missing, says what it is about to install and why
//! before it does, and, where it cannot, says in one sentence what a person has to do.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::project::Project;
use crate::stamp::{self, Input};

/// The releases of Node that the front's packages support; `engines` in `web/package.json` says the same to npm.
const NODE: &str = "Node 20 (20.19 or later), 22 (22.12 or later), 24 or newer";

/// A program the tests drive, and the Debian package that brings it.
struct Package {
    /// Name in Debian.
    name: &'static str,
    /// Files of which one is enough.
    any_of: &'static [&'static str],
    /// A variable by which the tests are told of another one.
    or_named_by: Option<&'static str>,
    /// The oldest major version that will do, for a program that says `Name 153.7.0esr`.
    at_least: Option<u32>,
    /// Ends the sentence "this is needed …".
    why: &'static str,
}

impl Package {
    fn is_there(&self) -> bool {
        let named = self.or_named_by.and_then(env::var_os);
        named.is_some_and(|path| Path::new(&path).is_file())
            || self.any_of.iter().any(|path| Path::new(path).exists() && self.is_recent(path))
    }

    fn is_recent(&self, program: &str) -> bool {
        let Some(at_least) = self.at_least else { return true };
        let said = process::output(Command::new(program).arg("--version"));
        said.is_ok_and(|said| major_version(&said).is_some_and(|version| version >= at_least))
    }
}

/// Chromium, Firefox ESR, and lavapipe: Vulkan in software, for machines without a GPU.
const FOR_TESTS: [Package; 3] = [
    Package {
        name: "chromium",
        any_of: &["/usr/bin/chromium"],
        or_named_by: Some("MAETOK_CHROMIUM"),
        at_least: None,
        why: "to test the page in Chromium",
    },
    Package {
        name: "firefox-esr",
        any_of: &["/usr/bin/firefox-esr"],
        or_named_by: Some("MAETOK_FIREFOX"),
        // The releases before have no WebGPU on Linux. A machine with old package lists would install one of them.
        at_least: Some(153),
        why: "to test the page in Firefox (153 or newer, which has WebGPU)",
    },
    Package {
        name: "mesa-vulkan-drivers",
        any_of: &[
            "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json",
            "/usr/share/vulkan/icd.d/lvp_icd.aarch64.json",
            "/usr/share/vulkan/icd.d/lvp_icd.json",
        ],
        or_named_by: None,
        at_least: None,
        why: "so that the GPU tests have a Vulkan device (lavapipe, in software) on every machine",
    },
];

/// Says what is about to be installed, and why.
pub fn announce(what: &str, why: &str) {
    println!("set-up: installing {what}, {why}.");
}

/// Node and npm build the front. They are not installed by us: how is a matter of taste and system.
///
/// # Errors
/// If either is missing or this release of Node is none of [`NODE`].
pub fn node() -> Result<()> {
    let advice = "install it from https://nodejs.org or with your package manager";
    let Ok(said) = process::output(Command::new("node").arg("--version")) else {
        bail!("{NODE} is needed to build the page, and Node was not found; {advice}");
    };
    if !node_version(&said).is_some_and(is_supported) {
        bail!("{NODE} is needed to build the page, and this is {}; {advice}", said.trim());
    }
    if !process::succeeds(Command::new("npm").arg("--version")) {
        bail!("npm is needed to build the page and was not found, though Node was; {advice}");
    }
    Ok(())
}

/// Whether a release is one of [`NODE`]. Vitest leaves out 21 and 23, whose support ended after half a year.
fn is_supported((major, minor): (u32, u32)) -> bool {
    match major {
        20 => minor >= 19,
        22 => minor >= 12,
        _ => major >= 24,
    }
}

/// `v20.20.1` is (20, 20).
fn node_version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// `Mozilla Firefox 153.7.0esr` is 153.
fn major_version(said: &str) -> Option<u32> {
    said.split_whitespace().find_map(|word| word.split_once('.')?.0.parse().ok())
}

/// Installs the npm packages of `folder`, exactly as its lock file says, unless they are there.
///
/// # Errors
/// If `npm ci` fails.
pub fn npm_packages(folder: &Path, why: &str) -> Result<()> {
    let inputs = ["package.json", "package-lock.json", ".npmrc"].map(|name| Input::Path(folder.join(name)));
    let modules = folder.join("node_modules");
    // npm's own record of what it installed. Kept inside the folder it speaks of, so does our stamp:
    // whoever deletes the one deletes the other.
    let installed = modules.join(".package-lock.json");
    stamp::when_changed(&modules, ".xtask", &inputs, &[installed], || {
        announce(&format!("the npm packages of {}/", folder.display()), why);
        process::run(Command::new("npm").arg("ci").current_dir(folder))
    })?;
    Ok(())
}

/// `cargo fmt` and `cargo clippy`, which a minimal toolchain lacks.
///
/// # Errors
/// If they are missing and rustup cannot add them.
pub fn rust_components() -> Result<()> {
    for component in ["rustfmt", "clippy"] {
        let subcommand = if component == "rustfmt" { "fmt" } else { component };
        if !process::succeeds(Command::new("cargo").args([subcommand, "--version"])) {
            announce(component, "to check the Rust sources");
            process::run(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// The two browsers and the software Vulkan device of the tests.
///
/// # Errors
/// If something is missing and cannot be installed here.
pub fn browsers_and_vulkan() -> Result<()> {
    let missing: Vec<_> = FOR_TESTS.iter().filter(|package| !package.is_there()).collect();
    for package in &missing {
        announce(&format!("Debian's package {}", package.name), package.why);
    }
    apt_install(&missing.iter().map(|package| package.name).collect::<Vec<_>>())
}

/// Whether a program of this name is on the search path.
fn there(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Installs Debian packages, which the caller has announced.
///
/// # Errors
/// Without apt, without the right to use it, or when it fails: with the command a person can run.
pub fn apt_install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !there("apt-get") {
        bail!("this system has no apt-get: please install what Debian calls {list} in your system's way");
    }
    let root = process::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let by_hand = format!("please run `sudo apt-get install {list}` and start again");
    if !root && !process::succeeds(Command::new("sudo").args(["-n", "true"])) {
        bail!("{list} can only be installed by root, and sudo would ask for a password: {by_hand}");
    }
    let apt = |arguments: &[&str]| {
        let mut command = if root { Command::new("env") } else { Command::new("sudo") };
        if !root {
            command.args(["-n", "env"]);
        }
        // A package that asks a question would wait for ever: there may be nobody at the keyboard.
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]).args(arguments);
        process::run(&mut command)
    };
    let install = ["install", "--no-install-recommends"];
    let install: Vec<_> = install.iter().chain(packages).copied().collect();
    // A fresh container has no package lists, and from stale ones apt would install stale programs.
    println!("set-up: fetching Debian's package lists.");
    if let Err(error) = apt(&["update"]) {
        println!("set-up: going on with the package lists there are: {error:#}.");
    }
    apt(&install).with_context(|| format!("{list} could not be installed: {by_hand}"))?;
    Ok(())
}

/// Whether Debian's package database has all of these.
pub fn debian_has(packages: &[&str]) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}\n"]).args(packages);
    process::output(&mut query)
        .is_ok_and(|said| said.lines().filter(|line| *line == "installed").count() == packages.len())
}

/// The folder of a toolchain's standard library for `target`, if it is there.
pub fn standard_library(target: &str) -> Option<PathBuf> {
    let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"])).ok()?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib").join(target).join("lib");
    fs::read_dir(&library).ok()?.next().is_some().then_some(library)
}

/// All that the tests need; see the functions.
///
/// # Errors
/// As they do.
pub fn for_tests(project: &Project) -> Result<()> {
    rust_components()?;
    node()?;
    browsers_and_vulkan()?;
    npm_packages(&project.web(), "to build, check and test the page")?;
    npm_packages(&project.toon(), "to test the recipe of the training pictures")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_releases_of_node_that_the_packages_support_are_accepted() {
        let accepted = |said: &str| node_version(said).is_some_and(is_supported);
        for good in ["v20.19.0", "v20.20.1\n", "v22.12.0", "v22.20.0", "v24.0.0", "v26.1.0"] {
            assert!(accepted(good), "{good}");
        }
        for bad in [
            "v18.20.8",
            "v20.9.0",
            "v20.18.3",
            "v21.0.0",
            "v21.7.3",
            "v22.0.0",
            "v22.11.0",
            "v23.5.0",
            "something else",
        ] {
            assert!(!accepted(bad), "{bad}");
        }
    }

    #[test]
    fn npm_is_told_the_same_of_node() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/package.json");
        let package: serde_json::Value = serde_json::from_slice(&fs::read(path).expect("reads")).expect("JSON");
        assert_eq!(package["engines"]["node"], "^20.19.0 || ^22.12.0 || >=24.0.0");
    }

    #[test]
    fn a_program_that_is_too_old_counts_as_missing() {
        assert_eq!(major_version("Mozilla Firefox 140.10.2esr\n"), Some(140));
        assert_eq!(major_version("Chromium 156.0.8078.79 built on Debian"), Some(156));
        assert_eq!(major_version("no number"), None);
        let package = |at_least| Package { name: "x", any_of: &["/bin/sh"], or_named_by: None, at_least, why: "" };
        assert!(package(None).is_there());
        assert!(!package(Some(1)).is_there(), "a shell has no such version");
    }

    #[test]
    fn programs_are_found_on_the_search_path() {
        assert!(there("cargo"));
        assert!(!there("no-such-program-here"));
    }

    #[test]
    fn one_of_the_files_is_enough_for_a_package_to_be_there() {
        let package = |any_of| Package { name: "x", any_of, or_named_by: None, at_least: None, why: "" };
        assert!(package(&["/no/such/file", env!("CARGO_MANIFEST_PATH")]).is_there());
        assert!(!package(&["/no/such/file"]).is_there());
    }

    #[test]
    fn every_package_for_the_tests_says_why() {
        assert!(FOR_TESTS.iter().all(|package| package.why.split(' ').count() > 3 && !package.any_of.is_empty()));
    }

    #[test]
    fn nothing_to_install_needs_no_rights() {
        apt_install(&[]).expect("nothing to do");
    }

    #[test]
    fn the_compiler_at_hand_has_its_own_standard_library() {
        let host = process::output(Command::new("rustc").arg("-vV")).expect("rustc runs");
        let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
        assert!(standard_library(host).is_some());
        assert!(standard_library("no-such-target").is_none());
    }
}
