// SPDX-License-Identifier: Apache-2.0
//! A gateway with one plugin: started, asked, looked at.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::drive::Inner;
use super::guest::Guest;
use super::native::{Linked, Native};
use super::redis::RedisInit;
use super::request::RequestBuilder;
use super::state::{Cluster, Shared, State};
use super::wasm::Wasm;
use crate::{Gateway, Refused, Valkey, module};

/// A plugin, and how it is to be run.
#[derive(Clone, Debug)]
pub struct Plugin {
    name: String,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Linked(fn(&Shared) -> Native),
    Built,
    Module(PathBuf),
}

impl Plugin {
    /// The plugin that is linked into this test.
    #[must_use]
    pub fn linked<P: Linked>() -> Self {
        Plugin { name: P::PACKAGE.to_owned(), source: Source::Linked(Native::start::<P>) }
    }

    /// The module of a plugin as it is built for Higress.
    #[must_use]
    pub fn built(name: &str) -> Self {
        Plugin { name: name.to_owned(), source: Source::Built }
    }

    /// A module that is there already.
    #[must_use]
    pub fn module(name: &str, path: impl Into<PathBuf>) -> Self {
        Plugin { name: name.to_owned(), source: Source::Module(path.into()) }
    }

    fn guest(&self, state: &Shared) -> Result<Box<dyn Guest>> {
        Ok(match &self.source {
            Source::Linked(start) => Box::new(start(state)),
            Source::Built => Box::new(Wasm::start(&module::plugin(&self.name, Gateway::Higress)?, state)?),
            Source::Module(path) => Box::new(Wasm::start(path, state)?),
        })
    }

    /// A gateway to run it in, which knows no cluster yet.
    #[must_use]
    pub fn gateway(&self) -> Builder {
        Builder { plugin: self.clone(), state: State::new() }
    }

    /// Starts it in a gateway without clusters; see [`Builder::start`].
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn start(&self, config: impl Display) -> Result<Higress, Refused> {
        self.gateway().start(config)
    }
}

/// A gateway before it starts.
#[derive(Debug)]
pub struct Builder {
    plugin: Plugin,
    state: State,
}

impl Builder {
    /// Lets the gateway know a cluster, whose calls the test answers.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        self.state.clusters.insert(name.to_owned(), Cluster::default());
        self
    }

    /// Lets the gateway know a cluster that has no healthy host.
    #[must_use]
    pub fn cluster_without_hosts(mut self, name: &str) -> Self {
        self.state.clusters.insert(name.to_owned(), Cluster { has_no_hosts: true, ..Cluster::default() });
        self
    }

    /// Lets the gateway know a cluster of which a real Redis answers the calls.
    #[must_use]
    pub fn redis(mut self, name: &str, valkey: &Valkey) -> Self {
        self.state.clusters.insert(name.to_owned(), Cluster { redis: Some(valkey.address()), ..Cluster::default() });
        self
    }

    /// How much of a body the gateway buffers; 1 MiB unless said otherwise.
    #[must_use]
    pub fn buffer_limit(mut self, bytes: usize) -> Self {
        self.state.buffer_limit = bytes;
        self
    }

    /// The level of the plugin's log, 0 (trace) to 5 (critical); 2 (info) unless said otherwise.
    #[must_use]
    pub fn log_level(mut self, level: u32) -> Self {
        self.state.log_level = level;
        self
    }

    /// Starts the plugin with a configuration: JSON, or an empty text for none.
    ///
    /// # Errors
    /// The plugin refuses the configuration.
    pub fn start(self, config: impl Display) -> Result<Higress, Refused> {
        let Builder { plugin, mut state } = self;
        state.starting = true;
        let state = Arc::new(Mutex::new(state));
        let guest = plugin.guest(&state).unwrap_or_else(|error| fail(&plugin.name, &format!("{error:#}")));
        let inner = Rc::new(Inner { plugin: plugin.name, state, guest });
        inner.try_call(0, "_initialize", &[])?;
        inner.with(|state| state.starting = false);
        let higress = Higress { inner, root: Cell::new(0) };
        higress.configure(config)?;
        Ok(higress)
    }
}

#[expect(clippy::panic, reason = "a failed test")]
fn fail(plugin: &str, why: &str) -> ! {
    panic!("{plugin}: {why}")
}

/// A gateway that runs a plugin.
pub struct Higress {
    pub(super) inner: Rc<Inner>,
    pub(super) root: Cell<u32>,
}

impl Higress {
    /// Configures the plugin again, in the same instance, as the gateway does: requests that are under way keep
    /// the configuration that they have.
    ///
    /// # Errors
    /// The plugin refuses the configuration, and keeps the one it has.
    pub fn configure(&self, config: impl Display) -> Result<(), Refused> {
        let (inner, config) = (&self.inner, config.to_string().into_bytes());
        let (root, size) = (inner.guest.next_context(), config.len() as u32);
        inner.with(|state| state.roots.insert(root));
        inner.try_call(root, "proxy_on_context_create", &[root, 0])?;
        let is_started = inner.try_call(root, "proxy_on_vm_start", &[root, 0])?;
        inner.with(|state| state.configuration = Some(config));
        let is_configured = inner.try_call(root, "proxy_on_configure", &[root, size])?;
        inner.with(|state| state.configuration = None);
        inner.settle();
        if is_started == 0 || is_configured == 0 {
            return Err(Refused { reason: anyhow!("the plugin refuses its configuration"), log: self.log() });
        }
        self.root.set(root);
        Ok(())
    }

    /// A request to be sent.
    #[must_use]
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder<'_> {
        RequestBuilder::new(self, self.root.get(), method, path)
    }

    /// Sends a GET of nothing but the headers that any request has.
    #[must_use]
    pub fn get(&self, path: &str) -> super::Request {
        self.request("GET", path).send()
    }

    /// Lets the gateway know another cluster.
    pub fn add_cluster(&self, name: &str) {
        self.inner.with(|state| state.clusters.insert(name.to_owned(), Cluster::default()));
    }

    /// Lets time pass.
    pub fn pass_time(&self, time: Duration) {
        self.inner.with(|state| state.now += time);
    }

    /// The time since the Unix epoch; it stands still unless the test lets it pass.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.inner.with(|state| state.now)
    }

    /// What the plugin has logged, in the form of Envoy's log.
    #[must_use]
    pub fn log(&self) -> String {
        self.inner.log()
    }

    /// Every `proxy_redis_init` so far.
    #[must_use]
    pub fn redis_inits(&self) -> Vec<RedisInit> {
        self.inner.with(|state| state.redis_inits.clone())
    }

    /// How many calls to services wait for a reply.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        self.inner.with(|state| state.calls.len())
    }

    /// How often each of the gateway's functions was called.
    #[must_use]
    pub fn host_calls(&self) -> BTreeMap<String, u64> {
        self.inner.with(|state| state.host_calls.clone())
    }

    /// How many instructions the module has executed; `None` natively.
    #[must_use]
    pub fn instructions(&self) -> Option<u64> {
        self.inner.guest.instructions()
    }

    /// How many bytes the module's memory has; `None` natively.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<usize> {
        self.inner.guest.memory()
    }
}
