// SPDX-License-Identifier: Apache-2.0
//! Envoy with one plugin: started, asked, stopped.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use tempfile::TempDir;

use crate::envoy_config::{EnvoyConfig, Plugin, Protocol};
use crate::process::Process;
pub use crate::refused::Refused;
use crate::tools::tools;
use crate::{Address, Cluster, Gateway, Httpbin, http};

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: Address,
    port: u16,
    _files: TempDir,
}

impl Envoy {
    /// One worker, no plugin, the shared httpbin as upstream; on free ports.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { plugin: None, upstream: None, clusters: Vec::new(), concurrency: 1, wasm_log: "info".to_owned() }
    }

    /// Starts one that is configured in every detail. Port 0 means any that is free.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn start(config: &EnvoyConfig, concurrency: u32, wasm_log: &str) -> Result<Self, Refused> {
        let files = tempfile::tempdir().context("no temporary folder")?;
        let (file, admin_file) = (files.path().join("envoy.json"), files.path().join("admin"));
        fs::write(&file, config.render().to_string()).context("cannot write Envoy's configuration")?;
        let mut command = Command::new(&tools()?.envoy);
        command.args(args(&file, concurrency, wasm_log)).arg("--admin-address-path").arg(&admin_file);
        let mut process = Process::spawn("envoy", command)?;

        let ready = process.wait_for("it was ready", |_| {
            let admin = fs::read_to_string(&admin_file).ok()?;
            let (host, port) = admin.rsplit_once(':')?;
            let admin = Address { host: host.to_owned(), port: port.parse().ok()? };
            let reply = http::get(format!("http://{host}:{port}/ready")).ok()?;
            (reply.status == 200).then_some(admin)
        });
        let admin = ready.map_err(|reason| Refused { reason, log: process.log() })?;
        let mut envoy = Self { process, admin, port: 0, _files: files };
        envoy.port = envoy.listening_port()?;
        Ok(envoy)
    }

    fn listening_port(&self) -> Result<u16> {
        let listeners = self.ask("/listeners?format=json")?.json();
        let port = listeners.pointer("/listener_statuses/0/local_address/socket_address/port_value");
        let port = port.and_then(Value::as_u64).context("Envoy does not listen")?;
        Ok(u16::try_from(port)?)
    }

    fn ask(&self, path: &str) -> Result<http::Reply> {
        http::get(format!("http://{}:{}{path}", self.admin.host, self.admin.port))
    }

    /// The port that takes requests.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of Envoy's own pages.
    #[must_use]
    pub fn admin_port(&self) -> u16 {
        self.admin.port
    }

    /// The URL of a path, such as `/get`, through the gateway.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What Envoy and the plugin have logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// One of Envoy's counters or gauges; `None` if it is unknown, as most are before they first count.
    ///
    /// # Errors
    /// Envoy has ended.
    pub fn stat(&self, name: &str) -> Result<Option<u64>> {
        let stats = self.ask("/stats")?;
        let mut lines = stats.text().lines().filter_map(|line| line.split_once(": "));
        Ok(lines.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok()))
    }

    /// The memory that Envoy has, the plugin's included (which Envoy's own count leaves out).
    ///
    /// # Errors
    /// Envoy has ended, or this is not Linux.
    pub fn memory_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
        Ok(resident.context("Envoy has ended")?.trim().parse::<u64>()? * 1024)
    }
}

/// How to start [`Envoy`].
#[derive(Debug)]
pub struct Builder {
    plugin: Option<Plugin>,
    upstream: Option<Address>,
    clusters: Vec<Cluster>,
    concurrency: u32,
    wasm_log: String,
}

impl Builder {
    /// Puts a plugin in, without configuration.
    #[must_use]
    pub fn module(mut self, name: &str, module: PathBuf) -> Self {
        let module = module.to_string_lossy().into_owned();
        self.plugin = Some(Plugin {
            name: name.to_owned(),
            module,
            gateway: Gateway::Envoy,
            config: String::new(),
            fail_open: false,
        });
        self
    }

    /// The plugin's configuration: JSON, or a text that is none.
    #[must_use]
    pub fn config(mut self, config: impl Display) -> Self {
        self.plugin = self.plugin.map(|plugin| Plugin { config: config.to_string(), ..plugin });
        self
    }

    /// Lets requests pass when the plugin has failed.
    #[must_use]
    pub fn fail_open(mut self) -> Self {
        self.plugin = self.plugin.map(|plugin| Plugin { fail_open: true, ..plugin });
        self
    }

    /// Sends requests elsewhere than to the shared httpbin.
    #[must_use]
    pub fn upstream(mut self, address: Address) -> Self {
        self.upstream = Some(address);
        self
    }

    /// Adds a service for the plugin to call.
    #[must_use]
    pub fn cluster(mut self, name: &str, protocol: Protocol, address: Address) -> Self {
        self.clusters.push(Cluster { name: name.to_owned(), protocol, address });
        self
    }

    /// The number of worker threads, each with its own instance of the plugin; 1 unless said.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// The level of the plugin's log; `info` unless said.
    #[must_use]
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.wasm_log);
        self
    }

    /// Starts it and waits until it takes requests.
    ///
    /// # Errors
    /// It did not come up, as a rule because the plugin refused its configuration.
    pub fn start(self) -> Result<Envoy, Refused> {
        let config = EnvoyConfig {
            admin: Address::local(0),
            listen: Address::local(0),
            plugin: self.plugin,
            upstream: self.upstream.map_or_else(Httpbin::shared, Ok)?,
            clusters: self.clusters,
        };
        Envoy::start(&config, self.concurrency, &self.wasm_log)
    }
}

/// Lets Envoy read a configuration file, start the plugin in it and stop.
///
/// # Errors
/// Envoy, as a rule the plugin, refuses the configuration.
pub fn validate(file: &Path) -> Result<(), Refused> {
    let mut command = Command::new(&tools()?.envoy);
    command.args(args(file, 1, "info")).args(["--mode", "validate"]);
    let output = command.output().context("cannot run Envoy")?;
    if output.status.success() {
        return Ok(());
    }
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Refused { reason: anyhow!("{} is refused:\n{log}", file.display()), log })
}

/// Level and text.
const LOG_FORMAT: &str = "[%l] %v";

/// Envoy's arguments for a configuration file and a number of workers: of the log, only errors and what the plugin says
/// at level `wasm_log`.
#[must_use]
pub fn args(config: &Path, concurrency: u32, wasm_log: &str) -> Vec<OsString> {
    let (workers, wasm_log) = (concurrency.to_string(), format!("wasm:{wasm_log}"));
    let log = ["--log-level", "error", "--component-log-level", &wasm_log, "--log-format", LOG_FORMAT];
    let args = ["--disable-hot-restart", "--concurrency", &workers].into_iter().chain(log).chain(["--config-path"]);
    args.map(OsString::from).chain([config.into()]).collect()
}
