//! The crate's one error type. Every variant displays as one sentence that a person can act on; fronts print it as it is.

use crate::checkpoint::LoadReport;

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that user input, files or the machine can do wrong. Broken invariants panic instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model configuration that cannot be built.
    #[error("The model's configuration says {field} = {}, but it must be {want}.", visible(got))]
    Config {
        /// Field of `config.json`.
        field: &'static str,
        /// The value found.
        got: String,
        /// What is allowed.
        want: String,
    },
    /// A setting of a request (steps, guidance, …) out of its range.
    #[error("The setting {name} is {}, but it must be {want}.", visible(got))]
    Setting {
        /// Name as the fronts show it.
        name: &'static str,
        /// The value given.
        got: String,
        /// What is allowed.
        want: String,
    },
    /// A class name the model does not know.
    #[error("There is no class “{name}”; the nearest are {}.", join(nearest))]
    UnknownClass {
        /// The name given.
        name: String,
        /// Existing names, nearest first.
        nearest: Vec<String>,
    },
    /// Bytes that do not give a usable picture.
    #[error("{problem}.")]
    Picture {
        /// A sentence without its full stop.
        problem: String,
    },
    /// A weights file that cannot be read.
    #[error("{problem}.")]
    Weights {
        /// A sentence without its full stop.
        problem: String,
    },
    /// Weights that do not fit the model; the report names every tensor.
    #[error("The weights do not fit the model: {report}.")]
    WeightsMismatch {
        /// The whole report.
        report: Box<LoadReport>,
    },
    /// A `manifest.json` that is damaged, incomplete or points where it must not.
    #[error("The model's manifest is not usable: {problem}.")]
    Manifest {
        /// The rest of the sentence.
        problem: String,
    },
    /// A file whose bytes are not the ones the manifest describes.
    #[error("The file {path} is damaged: its {what} is {got} where the manifest says {want}; fetch the model again.")]
    Checksum {
        /// Path inside the model folder.
        path: String,
        /// `size` or `SHA-256`.
        what: &'static str,
        /// What the file has.
        got: String,
        /// What the manifest says.
        want: String,
    },
    /// The file system said no.
    #[error("{path} could not be {action}: {source}.")]
    Io {
        /// The path as the user knows it.
        path: String,
        /// `read` or `written`.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No device of the kind asked for.
    #[error("{reason}.")]
    Device {
        /// A sentence without its full stop.
        reason: String,
    },
    /// A kernel of ours that the device does not run.
    #[error("The device refuses the kernel {kernel}: {reason}.")]
    Kernel {
        /// Its name.
        kernel: &'static str,
        /// What the driver said.
        reason: String,
    },
    /// A training folder or a training run that cannot be used.
    #[error("{problem}.")]
    Training {
        /// A sentence without its full stop.
        problem: String,
    },
}

/// A value within a sentence, where nothing would look like a word left out.
fn visible(got: &str) -> &str {
    if got.trim().is_empty() { "“”" } else { got }
}

impl Error {
    /// A stable, kebab-case name of the kind of error, for programs (the page's `code`).
    pub fn code(&self) -> &'static str {
        match self {
            Error::Config { .. } => "config",
            Error::Setting { .. } => "setting",
            Error::UnknownClass { .. } => "unknown-class",
            Error::Picture { .. } => "picture",
            Error::Weights { .. } | Error::WeightsMismatch { .. } => "weights",
            Error::Manifest { .. } => "manifest",
            Error::Checksum { .. } => "checksum",
            Error::Io { .. } => "io",
            Error::Device { .. } => "device",
            Error::Kernel { .. } => "kernel",
            Error::Training { .. } => "training",
        }
    }

    /// What a device said when a result could not be read: [`Error::Kernel`] if it names a kernel of ours, as CubeCL
    /// does natively; otherwise [`Error::Device`].
    pub(crate) fn of_device(said: &dyn std::fmt::Display) -> Self {
        let reason = said.to_string();
        let named = |kernel: &&&maetok_shaders::Kernel| reason.contains(&format!("`{}`", kernel.name));
        match maetok_shaders::ALL.iter().find(named) {
            Some(kernel) => Error::Kernel { kernel: kernel.name, reason },
            None => Error::Device { reason },
        }
    }

    /// [`Error::Config`] from anything that can be shown.
    pub fn config(field: &'static str, got: impl ToString, want: impl Into<String>) -> Self {
        Error::Config { field, got: got.to_string(), want: want.into() }
    }

    /// [`Error::Setting`] from anything that can be shown.
    pub fn setting(name: &'static str, got: impl ToString, want: impl Into<String>) -> Self {
        Error::Setting { name, got: got.to_string(), want: want.into() }
    }

    /// [`Error::Picture`]; a sentence without its full stop.
    pub fn picture(problem: impl Into<String>) -> Self {
        Error::Picture { problem: problem.into() }
    }

    /// [`Error::Weights`]; a sentence without its full stop.
    pub fn weights(problem: impl Into<String>) -> Self {
        Error::Weights { problem: problem.into() }
    }

    /// [`Error::Manifest`]; what follows "The model's manifest is not usable: ".
    pub fn manifest(problem: impl Into<String>) -> Self {
        Error::Manifest { problem: problem.into() }
    }

    /// [`Error::Training`]; a sentence without its full stop.
    pub fn training(problem: impl Into<String>) -> Self {
        Error::Training { problem: problem.into() }
    }

    /// A file that could not be read.
    pub fn read(path: impl ToString, source: std::io::Error) -> Self {
        Error::Io { path: path.to_string(), action: "read", source }
    }

    /// A file that could not be written.
    pub fn write(path: impl ToString, source: std::io::Error) -> Self {
        Error::Io { path: path.to_string(), action: "written", source }
    }
}

/// `a`, `a and b`, `a, b and c`.
fn join(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_one_sentence() {
        let io = || std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let errors = [
            Error::config("patch_size", 7, "a divisor of image_size"),
            Error::setting("steps", 0, "from 1 to 1000"),
            Error::UnknownClass { name: "lorelay".into(), nearest: vec!["lorelei".into(), "bottts".into()] },
            Error::picture("The file is empty"),
            Error::weights("The weights file is too short"),
            Error::manifest("it is not JSON"),
            Error::Checksum { path: "a".into(), what: "size", got: "3 bytes".into(), want: "4 bytes".into() },
            Error::read("in.png", io()),
            Error::Device { reason: "There is no WebGPU adapter".into() },
            Error::training("The folder holds no class folders"),
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.ends_with('.') && !text.contains('\n'), "{text}");
            assert_eq!(text.matches(". ").count(), 0, "{text}");
            assert!(!error.code().is_empty());
        }
    }

    #[test]
    fn a_value_of_nothing_is_seen() {
        let text = Error::setting("device", "", "cpu or wgpu").to_string();
        assert_eq!(text, "The setting device is “”, but it must be cpu or wgpu.");
    }

    #[test]
    fn unknown_classes_are_answered_with_the_nearest() {
        let nearest = vec!["lorelei".into(), "big-ears".into(), "bottts".into()];
        let text = Error::UnknownClass { name: "lorely".into(), nearest }.to_string();
        assert_eq!(text, "There is no class “lorely”; the nearest are lorelei, big-ears and bottts.");
    }
}
