// SPDX-License-Identifier: Apache-2.0
//! The tasks of the Makefile that are more than a line.

mod build;
mod catalogue;
mod compose;
mod demo;
mod gateway;
mod ports;
mod readme;
mod run;
mod services;

use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::ValueExt;
use testkit::Gateway;

use crate::ports::Ports;

/// How to call it, for those who do so without `make`.
const USAGE: &str = "\
usage: xtask build [PLUGIN] [--gateway higress|envoy]
       xtask run PLUGIN [--port N] [--httpbin-port N] [--admin-port N] [--redis-port N]
       xtask demo [PLUGIN]
       xtask compose PLUGIN [--port N] [--httpbin-port N] [--admin-port N] [--redis-port N]";

fn main() -> ExitCode {
    match task() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn task() -> Result<()> {
    let mut task = None;
    let mut plugin = None;
    let mut gateway = Gateway::Higress;
    let mut ports = Ports::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        use lexopt::Arg::{Long, Value};
        match arg {
            Value(value) if task.is_none() => task = Some(value.string()?),
            Value(value) if plugin.is_none() => plugin = Some(catalogue::find(&value.string()?)?),
            Long("gateway") => gateway = gateway_named(&args.value()?.string()?)?,
            Long("port") => ports.gateway = port("PORT", &args.value()?)?,
            Long("httpbin-port") => ports.httpbin = port("HTTPBIN_PORT", &args.value()?)?,
            Long("admin-port") => ports.admin = port("ADMIN_PORT", &args.value()?)?,
            Long("redis-port") => ports.redis = port("REDIS_PORT", &args.value()?)?,
            _ => bail!("{}\n{USAGE}", arg.unexpected()),
        }
    }
    let plugins = || plugin.clone().map_or_else(catalogue::all, |plugin| Ok(vec![plugin]));
    match task.as_deref() {
        Some("build") => build::build(&plugins()?, gateway),
        Some("run") => run::run(&plugin.map_or_else(catalogue::none, Ok)?, &ports),
        Some("demo") => demo::demo(&plugins()?),
        Some("compose") => compose::compose(&plugin.map_or_else(catalogue::none, Ok)?, &ports),
        _ => bail!(USAGE),
    }
}

fn port(variable: &str, value: &OsStr) -> Result<u16> {
    let port = value.to_str().and_then(|value| value.parse().ok()).filter(|port| *port > 0);
    port.with_context(|| format!("{variable} must be a port, 1 to 65535, got {}", value.display()))
}

fn gateway_named(name: &str) -> Result<Gateway> {
    [Gateway::Higress, Gateway::Envoy]
        .into_iter()
        .find(|gateway| gateway.name() == name)
        .with_context(|| format!("no gateway \"{name}\"; there are: higress, envoy"))
}
