// SPDX-License-Identifier: Apache-2.0
//! The `log` macros, and panics, written to the gateway's log with the plugin's name in front.

use std::fmt::Display;

use log::{LevelFilter, Log, Metadata, Record};
use proxy_wasm::types::LogLevel;

use crate::host;

struct Logger {
    plugin: &'static str,
}

/// Connects the `log` macros and the panic hook with the gateway's log. Called once, at start.
pub(crate) fn start(plugin: &'static str) {
    let logger: &Logger = Box::leak(Box::new(Logger { plugin }));
    if log::set_logger(logger).is_ok() {
        // Which lines are wanted can change while the plugin runs, so the gateway is asked for each.
        log::set_max_level(LevelFilter::Trace);
        std::panic::set_hook(Box::new(|panic| logger.write(LogLevel::Critical, panic)));
    }
}

impl Logger {
    fn write(&self, level: LogLevel, message: &dyn Display) {
        // One line each: what a client or a backend wrote must not begin another.
        let line = format!("[{}] {message}", self.plugin).replace(char::is_control, " ");
        host::log(level, &line);
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        level(metadata.level()) as u32 >= host::log_level()
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            self.write(level(record.level()), record.args());
        }
    }

    fn flush(&self) {}
}

fn level(level: log::Level) -> LogLevel {
    match level {
        log::Level::Trace => LogLevel::Trace,
        log::Level::Debug => LogLevel::Debug,
        log::Level::Info => LogLevel::Info,
        log::Level::Warn => LogLevel::Warn,
        log::Level::Error => LogLevel::Error,
    }
}
