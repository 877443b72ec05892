//! `cargo xtask data`: the training pictures, drawn from pinned npm packages.
//!
//! The drawing is done by the recipe in `assets/toon`, in Node, because the avatars and the SVG
//! renderer live there. This module installs its packages, runs it, and compares what lies on disk
//! afterwards with the checksums in the repository: a data set that differs in one byte is not the
//! one the shipped model was trained on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::process;
use crate::project::Project;
use crate::setup;

/// Training pictures of each avatar style, where nothing else is asked for.
const IMAGES_PER_STYLE: u32 = 1250;

/// Options of `cargo xtask data`.
#[derive(Args, Debug)]
pub struct DataArgs {
    /// Side of the pictures in pixels, 16 to 512
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(16..=512))]
    size: u32,
    /// Folder to write; a former data set in it is replaced [default: data/toon-SIZE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Training pictures of each avatar style, 1 to 4000
    #[arg(long, value_name = "N", default_value_t = IMAGES_PER_STYLE, value_parser = clap::value_parser!(u32).range(1..=4000))]
    images_per_style: u32,
    /// Write the committed checksums of this size anew instead of comparing with them
    #[arg(long)]
    update_checksums: bool,
}

/// What `assets/toon/checksums-SIZE.json` holds.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
struct Checksums {
    /// Side of the pictures in pixels.
    size: u32,
    /// All classes together; the digest is over the classes' names and digests.
    total: Checksum,
    /// By class name.
    classes: BTreeMap<String, Checksum>,
}

/// One class, or all of them.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
struct Checksum {
    /// Number of training pictures.
    train: usize,
    /// Number of held-out pictures.
    held_out: usize,
    /// SHA-256, in hexadecimal.
    sha256: String,
}

/// Builds the data set unless the very same one is there already.
///
/// # Errors
/// If Node, a package or room on the disk is missing, if the folder holds something else, or if the
/// result differs from the committed checksums.
pub fn run(project: &Project, args: &DataArgs) -> Result<()> {
    let recipe = project.toon();
    let out = match &args.out {
        Some(out) => std::path::absolute(out).with_context(|| format!("{} is no path", out.display()))?,
        None => project.root.join(format!("data/toon-{}", args.size)),
    };
    let committed = recipe.join(format!("checksums-{}.json", args.size));
    if args.update_checksums && args.images_per_style != IMAGES_PER_STYLE {
        bail!("checksums are committed for {IMAGES_PER_STYLE} pictures per style only: leave out --images-per-style");
    }
    let expected = if args.images_per_style == IMAGES_PER_STYLE { read(&committed)? } else { None };
    if let Some(expected) = expected.as_ref().filter(|_| !args.update_checksums)
        && out.join("classes.json").is_file()
        && checksums(&out, args.size).is_ok_and(|found| found == *expected)
    {
        println!("{} is already there and has the committed checksums.", out.display());
        return Ok(());
    }

    setup::node()?;
    setup::npm_packages(&recipe, "which draw the training pictures")
        .context("the packages of the training pictures could not be installed; is the npm registry reachable?")?;
    draw(&recipe, &out, args)?;

    let found = checksums(&out, args.size)?;
    println!(
        "{}: {} training and {} held-out pictures of {} classes, SHA-256 {}",
        out.display(),
        found.total.train,
        found.total.held_out,
        found.classes.len(),
        found.total.sha256
    );
    if args.update_checksums {
        let text = serde_json::to_string_pretty(&found)? + "\n";
        fs::write(&committed, text).with_context(|| format!("{} cannot be written", committed.display()))?;
        println!("{} was written.", committed.display());
        return Ok(());
    }
    match expected {
        Some(expected) => {
            compare(&expected, &found)
                .with_context(|| format!("{} differs from {}", out.display(), committed.display()))?;
            println!("It has the checksums of {}.", committed.display());
        }
        None => println!("Not verified: no checksums are committed for these settings."),
    }
    Ok(())
}

/// Runs the recipe, which says itself what went wrong.
fn draw(recipe: &Path, out: &Path, args: &DataArgs) -> Result<()> {
    let mut node = Command::new("node");
    node.arg(recipe.join("build.mjs")).arg("--out").arg(out);
    node.args(["--size", &args.size.to_string(), "--images-per-style", &args.images_per_style.to_string()]);
    process::run(&mut node).context("the training pictures were not drawn, for the reason above")
}

/// The committed checksums; `None` where there are none for this size.
fn read(path: &Path) -> Result<Option<Checksums>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let checksums =
        serde_json::from_str(&text).with_context(|| format!("{} is not a checksum file", path.display()))?;
    Ok(Some(checksums))
}

/// Names in a folder, sorted; neither the file system's order nor the system's language counts.
fn names(folder: &Path) -> Result<Vec<String>> {
    let unreadable = || format!("{} cannot be read", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        names.push(entry.with_context(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Reads every picture of a data set.
fn checksums(out: &Path, size: u32) -> Result<Checksums> {
    let mut classes = BTreeMap::new();
    let mut all = Sha256::new();
    let (mut train, mut held_out) = (0, 0);
    for class in names(&out.join("train"))? {
        let mut hasher = Sha256::new();
        let mut counts = [0; 2];
        for (split, count) in ["held-out", "train"].into_iter().zip(&mut counts) {
            let folder = out.join(split).join(&class);
            for name in names(&folder)? {
                let path = folder.join(&name);
                let bytes = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
                // The length, so that no byte can move from one picture into the next unnoticed.
                hasher.update(format!("{split}/{name} {}\n", bytes.len()));
                hasher.update(&bytes);
                *count += 1;
            }
        }
        let checksum = Checksum { held_out: counts[0], train: counts[1], sha256: format!("{:x}", hasher.finalize()) };
        all.update(format!("{class} {}\n", checksum.sha256));
        train += checksum.train;
        held_out += checksum.held_out;
        classes.insert(class, checksum);
    }
    let total = Checksum { train, held_out, sha256: format!("{:x}", all.finalize()) };
    Ok(Checksums { size, total, classes })
}

/// Names the classes that differ.
fn compare(expected: &Checksums, found: &Checksums) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let classes: BTreeSet<_> = expected.classes.keys().chain(found.classes.keys()).collect();
    let differing: Vec<_> = classes
        .into_iter()
        .filter(|&name| expected.classes.get(name) != found.classes.get(name))
        .map(String::as_str)
        .collect();
    bail!(
        "not the same pictures in {} of the classes ({}); if the recipe was changed on purpose, run again with --update-checksums",
        differing.len(),
        differing.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data set of one class.
    fn tiny(picture: &[u8]) -> tempfile::TempDir {
        let out = tempfile::tempdir().expect("a temporary folder");
        for (split, bytes) in [("train", picture), ("held-out", b"other".as_slice())] {
            let folder = out.path().join(split).join("hearts");
            fs::create_dir_all(&folder).expect("a temporary folder");
            fs::write(folder.join("a.png"), bytes).expect("a temporary file");
        }
        out
    }

    #[test]
    fn the_same_pictures_have_the_same_checksums_wherever_they_lie() {
        let (one, two) = (tiny(b"picture"), tiny(b"picture"));
        let (first, second) = (checksums(one.path(), 64).expect("read"), checksums(two.path(), 64).expect("read"));
        assert_eq!((first.total.train, first.total.held_out), (1, 1));
        compare(&first, &second).expect("equal");
    }

    #[test]
    fn one_changed_byte_names_the_class() {
        let (one, two) = (tiny(b"picture"), tiny(b"Picture"));
        let (first, second) = (checksums(one.path(), 64).expect("read"), checksums(two.path(), 64).expect("read"));
        let error = compare(&first, &second).expect_err("different").to_string();
        assert!(error.starts_with("not the same pictures in 1 of the classes (hearts)"), "{error}");
        assert_ne!(first.total.sha256, second.total.sha256);
    }

    #[test]
    fn a_renamed_picture_is_a_different_data_set() {
        let out = tiny(b"picture");
        let before = checksums(out.path(), 64).expect("read");
        fs::rename(out.path().join("train/hearts/a.png"), out.path().join("train/hearts/b.png")).expect("renamed");
        let after = checksums(out.path(), 64).expect("read");
        assert!(compare(&before, &after).is_err());
    }

    #[test]
    fn the_committed_checksums_can_be_read_and_add_up() {
        for size in [64, 128] {
            let path = format!("{}/../../assets/toon/checksums-{size}.json", env!("CARGO_MANIFEST_DIR"));
            let committed = read(Path::new(&path)).expect("readable").expect("there");
            assert_eq!(committed.size, size);
            assert_eq!(committed.total.train, committed.classes.values().map(|class| class.train).sum::<usize>());
            assert!(committed.total.train >= 20_000, "{}", committed.total.train);
            assert!(committed.classes.values().all(|class| class.held_out > 0), "every class has held-out pictures");
        }
    }
}
