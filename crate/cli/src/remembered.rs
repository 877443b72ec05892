//! The self-test's verdict on an adapter, in the user's cache directory. It may be deleted at any time.

use std::env;
use std::fs;
use std::path::PathBuf;

use maetok::checkpoint::{sha256_hex, write_atomically};
use maetok::device::{self, DeviceChoice, DeviceInfo, Past, SelfTest};
use maetok::{Device, Result};

/// Opens the device; its kernels are tested if nothing is known of the adapter or `anew`.
pub async fn open(choice: DeviceChoice, anew: bool) -> Result<(Device, DeviceInfo)> {
    let recall = |adapter: &str| fs::read_to_string(file(adapter).filter(|_| !anew)?).ok();
    let opened = device::open_again(choice, Past { recall: Some(&recall), refused: &[] }).await?;
    if let Some(SelfTest { remembered: false, adapter, text }) = &opened.1.self_test {
        keep(adapter, text);
    }
    Ok(opened)
}

/// Where it cannot be kept, the next start tests again: nothing that anybody needs to hear of.
fn keep(adapter: &str, text: &str) {
    let Some(file) = file(adapter) else { return };
    if file.parent().is_some_and(|folder| fs::create_dir_all(folder).is_ok()) {
        let _ = write_atomically(&file, text.as_bytes());
    }
}

/// The file of an adapter.
fn file(adapter: &str) -> Option<PathBuf> {
    let name = format!("self-test-{}.txt", &sha256_hex(adapter.as_bytes())[..16]);
    Some(cache_directory()?.join("maetok").join(name))
}

/// The user's cache directory by the custom of the system. As the XDG base directory specification has it, a path that
/// is not absolute does not count.
fn cache_directory() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    variable("XDG_CACHE_HOME").or_else(|| match env::consts::OS {
        "windows" => variable("LOCALAPPDATA"),
        "macos" => Some(variable("HOME")?.join("Library/Caches")),
        _ => Some(variable("HOME")?.join(".cache")),
    })
}
