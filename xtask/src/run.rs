// SPDX-License-Identifier: Apache-2.0
//! `run`: the local gateway for a person, with a plugin as its `wasmplugin.yaml` configures it.

use std::ffi::OsString;
use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use testkit::process::{Guard, pid};
use testkit::tools::{Tools, tools};
use testkit::{Address, Gateway, envoy, http, httpbin, valkey, workspace};

use crate::catalogue::Plugin;
use crate::gateway::{self, Addresses};
use crate::ports::Ports;
use crate::{build, readme};

/// Runs the stack until a signal ends it.
pub(crate) fn run(plugin: &Plugin, ports: &Ports) -> Result<()> {
    ports.check()?;
    let spec = plugin.spec()?;
    let tools = tools()?;
    let module = build::module(plugin, Gateway::Envoy)?;
    let at = Addresses {
        admin: Address::local(ports.admin),
        gateway: Address::local(ports.gateway),
        httpbin: Address::local(ports.httpbin),
        redis: Address::local(ports.redis),
    };
    let config = gateway::config(plugin, &spec, Gateway::Envoy, &module, at)?;

    let folder = workspace().join("target/run").join(&plugin.name);
    fs::create_dir_all(&folder)?;
    let (config_file, procfile_file) = (folder.join("envoy.yaml"), folder.join("Procfile"));
    fs::write(&config_file, config.to_yaml()?)?;
    fs::write(&procfile_file, procfile(tools, &config_file, ports))?;
    envoy::validate(&config_file).map_err(|refused| gateway::refused(plugin, &refused))?;

    let mut honcho = Command::new(&tools.honcho);
    honcho.arg("--procfile").arg(&procfile_file).arg("start");
    honcho.process_group(0); // Ctrl-C is for us to pass on, once
    let mut honcho = honcho.spawn().context("cannot run honcho")?;
    let _guard = Guard::new(honcho.id(), Signal::TERM)?;
    let told_to_stop = pass_signals_on(honcho.id())?;

    if wait_until_ready(&mut honcho, ports)? {
        println!("{}", invitation(plugin, ports, &config_file)?);
    }
    let status = honcho.wait()?;
    ensure!(told_to_stop.load(Ordering::Relaxed), "the local gateway ended by itself, {status}");
    Ok(())
}

/// One line for each program, as honcho wants it.
fn procfile(tools: &Tools, config: &Path, ports: &Ports) -> String {
    let envoy = [vec![tools.envoy.clone().into()], envoy::args(config, 1, "info")].concat();
    let mut httpbin = [vec![tools.gunicorn.clone().into()], httpbin::args(&Address::local(ports.httpbin))].concat();
    httpbin.push("--access-logfile=-".into());
    let mut valkey: Vec<OsString> = vec![tools.valkey.clone().into(), "--loglevel".into(), "warning".into()];
    valkey.extend(valkey::args(ports.redis).into_iter().map(OsString::from));
    // Everything ends with the gateway. A backend may end before it: that is worth trying.
    let backend = |name: &str, command: &[OsString]| {
        let told = format!("{name} has ended: to the gateway it is down from here on");
        format!("{name}: {}; echo {}; exec sleep infinity\n", quoted(command), quoted(&[told.into()]))
    };
    format!("envoy: exec {}\n{}{}", quoted(&envoy), backend("httpbin", &httpbin), backend("valkey", &valkey))
}

/// A command line for `sh` that means these words.
fn quoted(words: &[OsString]) -> String {
    let words = words.iter().map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")));
    words.collect::<Vec<_>>().join(" ")
}

/// Ends honcho, and with it what it runs, when a signal is to end us. The flag tells that one came.
fn pass_signals_on(honcho: u32) -> Result<Arc<AtomicBool>> {
    let came = Arc::new(AtomicBool::new(false));
    let (flag, honcho) = (Arc::clone(&came), pid(honcho)?);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::spawn(move || {
        for _ in signals.forever() {
            flag.store(true, Ordering::Relaxed);
            let _ = kill_process(honcho, Signal::TERM);
        }
    });
    Ok(came)
}

/// Whether everything came up, rather than honcho ending before.
fn wait_until_ready(honcho: &mut Child, ports: &Ports) -> Result<bool> {
    let ready = format!("http://127.0.0.1:{}/ready", ports.admin);
    let up = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
    while honcho.try_wait()?.is_none() {
        if up(ports.httpbin) && up(ports.redis) && http::get(&ready).is_ok_and(|reply| reply.status == 200) {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(false)
}

/// What to try, and where to look.
fn invitation(plugin: &Plugin, ports: &Ports, config: &Path) -> Result<String> {
    Ok(format!(
        "\n{} is ready, try:\n\n{}\n\nThe gateway's configuration is in {}, its own pages are at http://localhost:{}.\n\
         Ctrl-C ends everything.\n",
        plugin.name,
        readme::invitation(plugin, ports.gateway)?,
        config.strip_prefix(workspace()).unwrap_or(config).display(),
        ports.admin,
    ))
}
