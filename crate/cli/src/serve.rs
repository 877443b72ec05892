//! `maetok serve`: lends devices of this machine, until Ctrl+C.

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use clap::Args;
use maetok::remote;

use crate::files;

/// Arguments of `maetok serve`.
#[derive(Args)]
pub struct Arguments {
    /// What to lend: cpu, wgpu, or where built in cuda:N; several with commas between, all cpu or none. Borrowers name
    /// them ws://HOST:PORT, ws://HOST:PORT#1 and so on.
    #[arg(long, alias = "devices", value_name = "NAMES", value_delimiter = ',', default_value = "cpu")]
    device: Vec<String>,
    /// Address and port to listen on; 0.0.0.0:3000 for every network of this machine. What is sent is not encrypted,
    /// and anybody who can connect may borrow unless MAETOK_TOKEN is set, here and where the training runs.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: String,
}

/// Runs the command.
///
/// # Errors
/// If a device cannot be opened or lent, or nobody may listen there.
pub fn run(arguments: &Arguments) -> Result<()> {
    files::check_devices(&arguments.device)?;
    let (devices, names) = files::devices(&arguments.device)?;
    let listen = &arguments.listen;
    let listener = TcpListener::bind(listen).with_context(|| format!("Nobody can listen on {listen} here"))?;
    files::say(&format!("serving {names} on ws://{}", listener.local_addr()?));
    Ok(remote::serve(devices.all().to_vec(), listener)?)
}
