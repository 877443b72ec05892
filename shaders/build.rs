//! Takes comments and indentation out of the shaders: a third of what browsers would otherwise download of them. The files
//! on disk stay what people, editors and naga read.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=.");
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let (folder, out) = (variable("CARGO_MANIFEST_DIR"), variable("OUT_DIR"));
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wgsl") {
            let name = path.file_name().expect("a file has a name");
            fs::write(Path::new(&out).join(name), bare(&fs::read_to_string(&path)?))?;
        }
    }
    Ok(())
}

/// The text without comments. WGSL has no strings, so `//` always begins one; the files have no other kind. Every line
/// begins after a line break, the first too: that is how hosts find the lines that they swap.
fn bare(text: &str) -> String {
    assert!(!text.contains("/*"), "a comment of another kind");
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    code.filter(|line| !line.is_empty()).map(|line| format!("\n{line}")).collect()
}
