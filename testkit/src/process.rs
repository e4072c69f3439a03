// SPDX-License-Identifier: Apache-2.0
//! A program that a test starts: its log, its end, and that it never outlives the test.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::NamedTempFile;

/// How long a program may take to do what is waited for, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program in a process group of its own, killed when this value is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: NamedTempFile,
    _guard: Guard,
}

impl Process {
    /// Starts `command`; what it writes to either output becomes the log.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn spawn(name: &str, mut command: Command) -> Result<Self> {
        // A file and no pipe: what the program has written is there at once, and needs nobody to read it.
        let log = NamedTempFile::new().context("no temporary file")?;
        let output = File::options().append(true).open(log.path())?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        let guard = Guard::new(child.id(), Signal::KILL)?;
        Ok(Self { name: name.to_owned(), child, log, _guard: guard })
    }

    /// What the program has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log.path()).unwrap_or_default()).into_owned()
    }

    /// Waits until `look` finds what it wants in the log, or elsewhere; `what` says what that is: "it was ready".
    ///
    /// # Errors
    /// The program ended before, or a minute went by; both with the log.
    pub fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let start = Instant::now();
        loop {
            let ended = self.child.try_wait()?;
            if let Some(found) = look(&self.log()) {
                return Ok(found);
            }
            if let Some(status) = ended {
                bail!("{} ended with {status} before {what}:\n{}", self.name, self.log());
            }
            if start.elapsed() > PATIENCE {
                bail!("a minute went by for {} before {what}:\n{}", self.name, self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the program and those it started.
    ///
    /// # Errors
    /// The program has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process_group(pid(self.child.id())?, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process group as soon as this process is gone, even if it was killed.
#[derive(Debug)]
pub struct Guard(Child);

impl Guard {
    /// Guards the process group `group`.
    ///
    /// # Errors
    /// There is no shell.
    pub fn new(group: u32, signal: Signal) -> Result<Self> {
        // `read` returns when the other end of its input, which only this process holds, is closed.
        let mut shell = Command::new("sh");
        shell.args(["-c", "read -r _; kill -$0 -$1", &signal.as_raw().to_string(), &group.to_string()]);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Ok(Self(shell.spawn().context("cannot run sh")?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The process id in the form that signals want.
///
/// # Errors
/// It is no process id.
pub fn pid(id: u32) -> Result<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw).with_context(|| format!("{id} is no process id"))
}
