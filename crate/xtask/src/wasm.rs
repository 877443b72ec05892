//! From Rust to a module a browser can import: compile, generate the bindings, make it small.
//!
//! The compiler's standard library for WebAssembly comes from rustup where that can be had: then one
//! compiler serves everything. Some networks let only package registries through; there Debian's own
//! compiler stands in, which builds the standard library from source on the way.
//!
//! The bindings come from `wasm-bindgen-cli-support`, the library inside the `wasm-bindgen` command.
//! Its version and that of the `wasm-bindgen` crate must be equal to the last digit; here both are
//! pinned by one lock file and there is no second tool to install.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;
use wasm_bindgen_cli_support::Bindgen;

use crate::process;
use crate::project::Project;
use crate::setup;
use crate::stamp::{self, Input};

const TARGET: &str = "wasm32-unknown-unknown";
/// Cargo's profile for what the browser downloads; see the workspace manifest.
const PROFILE: &str = "web";
const PACKAGE: &str = "maetok-web";
/// The package's name as a Rust library, which is also the name of the files.
const NAME: &str = "maetok_web";

/// What Debian needs to compile for WebAssembly without rustup.
const DEBIAN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

/// Instructions the compiler may have used, beyond WebAssembly 1.0. All have been in Chromium, Firefox
/// and Safari since 2023 or longer. Named one by one: `--all-features` would also let the optimiser
/// *introduce* instructions that browsers do not have yet.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// How the optimiser runs.
const OPTIMISE: &str = "-Os";

/// Where the compiler for WebAssembly comes from.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// rustup's if it can be had, else Debian's
    #[default]
    Auto,
    /// The toolchain in use, with the target added by rustup
    Rustup,
    /// Debian's packages, with the standard library built from source
    Debian,
}

/// Compiles, generates and optimises what is out of date. The result lies in [`Project::bindings`].
///
/// # Errors
/// If a compiler cannot be had or a step fails.
pub fn build(project: &Project, compiler: Compiler) -> Result<()> {
    let compiler = choose(compiler)?;
    let compiled = project.target.join(TARGET).join(PROFILE).join(format!("{NAME}.wasm"));
    if !compiled.exists() {
        println!("compiling the engine, with Burn below it: the first time, ten minutes on two cores.");
    }
    process::run(cargo(compiler).current_dir(&project.root))?;
    // The optimiser is an npm package, pinned by the front's lock file.
    setup::npm_packages(&project.web(), "to build the page")?;

    let inputs = [
        Input::Path(compiled.clone()),
        Input::Path(optimiser(project).join("package.json")),
        Input::Text(format!("{} {OPTIMISE} {FEATURES:?}", wasm_bindgen_version(project)?)),
    ];
    stamp::when_changed(&project.notes(), "bindings", &inputs, &[project.bindings()], || {
        bind(&compiled, &project.bindings())?;
        optimise(project, &project.bindings().join(format!("{NAME}_bg.wasm")))
    })?;
    Ok(())
}

/// Settles `Auto`, and installs what is missing for the outcome.
fn choose(wish: Compiler) -> Result<Compiler> {
    let ready = || setup::standard_library(TARGET).is_some();
    let add = || {
        setup::announce(
            &format!("Rust's standard library for {TARGET} (by rustup)"),
            "to compile the engine for the browser",
        );
        process::run(Command::new("rustup").args(["target", "add", TARGET]))?;
        if ready() {
            Ok(())
        } else {
            Err(anyhow!("rustup installed {TARGET}, but for another compiler than the one in use"))
        }
    };
    match wish {
        Compiler::Rustup if !ready() => add()?,
        Compiler::Rustup => {}
        Compiler::Auto if ready() => return Ok(Compiler::Rustup),
        // A machine that once needed Debian's need not ask an unreachable network again.
        Compiler::Auto if !setup::debian_has(&DEBIAN) => match add() {
            Ok(()) => return Ok(Compiler::Rustup),
            Err(error) => println!("set-up: {error}. Debian's compiler will do instead."),
        },
        Compiler::Auto | Compiler::Debian => {}
    }
    if wish == Compiler::Rustup {
        return Ok(Compiler::Rustup);
    }
    if !setup::debian_has(&DEBIAN) {
        setup::announce(
            &format!("Debian's packages {}", DEBIAN.join(", ")),
            "to compile the engine for the browser without rustup's target",
        );
        setup::apt_install(&DEBIAN)
            .context("no compiler for WebAssembly: rustup's target cannot be had, nor Debian's packages")?;
    }
    println!("set-up: compiling for the browser with Debian's Rust, which builds its standard library from source.");
    Ok(Compiler::Debian)
}

/// The call of Cargo that builds the engine with `compiler`.
fn cargo(compiler: Compiler) -> Command {
    let debian = compiler == Compiler::Debian;
    // rustup's stand-ins come first on the search path: Debian's have to be named in full.
    let mut cargo = Command::new(if debian { "/usr/bin/cargo" } else { "cargo" });
    cargo.args(["build", "--profile", PROFILE, "--target", TARGET, "--package", PACKAGE]);
    if debian {
        // The standard library's source is only open to nightly compilers and those told to act as one.
        cargo.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-22");
        // Left behind by the rustup toolchain that runs this very program.
        for variable in ["RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "CARGO", "RUSTDOC"] {
            cargo.env_remove(variable);
        }
    }
    cargo
}

/// Writes `maetok_web.js`, its types and `maetok_web_bg.wasm` into `folder`, as an ES module that
/// finds its wasm beside itself.
fn bind(compiled: &Path, folder: &Path) -> Result<()> {
    println!("generating the JavaScript bindings.");
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    let mut bindgen = Bindgen::new();
    bindgen.input_path(compiled).out_name(NAME).typescript(true);
    bindgen.web(true).and_then(|bindgen| bindgen.generate(folder)).map_err(|error| anyhow!("the bindings: {error:#}"))
}

/// Where npm puts binaryen.
fn optimiser(project: &Project) -> PathBuf {
    project.web().join("node_modules/binaryen")
}

/// Replaces `module` by a smaller one that does the same.
fn optimise(project: &Project, module: &Path) -> Result<()> {
    let program = project.web().join("node_modules/.bin/wasm-opt");
    if !program.exists() {
        bail!("{} is missing although npm installed the front's packages; is binaryen among them?", program.display());
    }
    let smaller = module.with_extension("optimised");
    println!("optimising {}.", module.display());
    let before = fs::metadata(module)?.len();
    let mut command = Command::new(program);
    command.arg(OPTIMISE).args(FEATURES).arg(module).arg("-o").arg(&smaller);
    process::run(&mut command)?;
    fs::rename(&smaller, module).with_context(|| format!("cannot replace {}", module.display()))?;
    println!("  {before} bytes, now {}.", fs::metadata(module)?.len());
    Ok(())
}

/// The pinned version, as the lock file has it.
fn wasm_bindgen_version(project: &Project) -> Result<String> {
    let lock = fs::read_to_string(project.root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    version_in_lock(&lock, "wasm-bindgen").context("Cargo.lock names no wasm-bindgen")
}

/// The version of `package` in the text of a lock file.
fn version_in_lock(lock: &str, package: &str) -> Option<String> {
    let entry = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?.1;
    Some(entry.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generator_and_library_have_the_same_version() {
        let project = Project::find().expect("inside the project");
        let lock = fs::read_to_string(project.root.join("Cargo.lock")).expect("lock file");
        let library = version_in_lock(&lock, "wasm-bindgen").expect("locked");
        assert_eq!(Some(library), version_in_lock(&lock, "wasm-bindgen-cli-support"));
    }

    #[test]
    fn debians_cargo_is_called_past_rustup() {
        let command = cargo(Compiler::Debian);
        assert_eq!(command.get_program(), "/usr/bin/cargo");
        let variable = |name: &str| command.get_envs().find(|(key, _)| *key == name).and_then(|(_, value)| value);
        assert_eq!(variable("RUSTC"), Some("/usr/bin/rustc".as_ref()));
        assert!(process::line(&command).contains("-Zbuild-std=std,panic_abort"));
    }

    #[test]
    fn rustups_cargo_builds_no_standard_library() {
        let command = cargo(Compiler::Rustup);
        assert_eq!(
            process::line(&command),
            "cargo build --profile web --target wasm32-unknown-unknown --package maetok-web"
        );
        assert_eq!(command.get_envs().count(), 0);
    }
}
