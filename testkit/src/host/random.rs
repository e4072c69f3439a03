// SPDX-License-Identifier: Apache-2.0
//! A plugin as built, driven by chance: requests, replies and configurations of any kind, in any order.
//!
//! A plugin's `tests/properties.rs` says what its configurations and replies look like, and what it promises
//! ([`Seen`]). What every plugin promises is checked here: no trap, every request answered or passed on once all
//! replies have come, one line in the log for a configuration that is refused, and no memory kept.

mod inputs;
mod world;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value};

pub use inputs::{Arrival, bytes, configuration, http_reply, json, pick, redis_reply, run, text};

use super::Headers;
use super::flow::Message;
use world::World;

/// The clusters that the gateway knows; the last has no host.
pub const CLUSTERS: [&str; 3] =
    ["outbound|80||one.static", "outbound|6379||two.dns", "outbound|80||without-hosts.static"];

/// What a service says to a call. One that is not of the call's kind is no answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// To an HTTP call.
    Http(Message),
    /// To a Redis call.
    Redis(Vec<u8>),
    /// Nothing: the connection has ended.
    None,
}

/// Something that happens. The numbers choose among the requests, or the calls, that there are.
#[derive(Clone, Debug)]
pub enum Action {
    /// A request arrives.
    Arrive(Arrival),
    /// A part of a body arrives, which may be the last.
    Body(u8, Vec<u8>, bool),
    /// A service answers a call, whose request may have ended meanwhile.
    Reply(u8, Reply),
    /// The upstream answers, if it has heard of the request.
    Respond(u8, Message),
    /// The client goes away.
    Leave(u8),
    /// The gateway answers in place of the plugin, as when the request took too long.
    GiveUp(u8),
    /// The plugin gets another configuration.
    Configure(String),
    /// So many seconds pass.
    Pass(u16),
}

/// A run: the configuration to start with, and what then happens.
pub type Run = (String, Vec<Action>);

/// What became of a request.
#[derive(Debug)]
pub struct Seen {
    /// The configuration that the plugin had when the request came.
    pub config: Value,
    /// The headers that the client sent.
    pub sent: Headers,
    /// Whether the plugin has called a service for it, or tried to.
    pub called: bool,
    /// What the services said to the calls for it.
    pub replies: Vec<Reply>,
    /// What the upstream has got.
    pub upstream: Option<Message>,
    /// What the client has got; `None` if it went away or the gateway gave up.
    pub answer: Option<Message>,
}

impl Seen {
    /// The configurations of which one applied, without the gateway's own keys: the global one, if there is one,
    /// then those of the rules.
    #[must_use]
    pub fn configs(&self) -> Vec<Map<String, Value>> {
        let mut global = self.config.as_object().cloned().unwrap_or_default();
        let rules = self.rules();
        global.retain(|key, _| key != "_rules_" && key != "_plugin_id_");
        let has_global = !global.is_empty() || self.config.get("_rules_").is_none();
        let rules = rules.into_iter().filter_map(|rule| rule.as_object().cloned());
        has_global.then_some(global).into_iter().chain(rules).collect()
    }

    /// Whether there is a request to which no configuration applies.
    #[must_use]
    pub fn may_be_left_alone(&self) -> bool {
        !self.rules().is_empty()
    }

    /// Whether it passed as if there were no plugin, so far as the upstream can tell.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        !self.called && self.upstream.as_ref().is_none_or(|upstream| upstream.headers == self.sent)
    }

    fn rules(&self) -> Vec<Value> {
        match self.config.get("_rules_") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(rules)) => rules.clone(),
            Some(rule) => vec![rule.clone()],
        }
    }
}

/// How many runs a property is tried with; a failing one is printed, and nothing is written to a file.
#[must_use]
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 4000, ..ProptestConfig::default() }
}

/// Runs a plugin, and asks `promise` about every request.
pub fn check(plugin: &str, good: &Value, (config, actions): &Run, promise: impl Fn(&Seen)) {
    let mut world = World::start(plugin, config, good);
    world.run(actions, &promise);
}

/// Lets one instance go through many runs, and checks that its memory does not grow with them.
pub fn check_memory(plugin: &str, good: &Value, runs: impl Strategy<Value = Run>, promise: impl Fn(&Seen)) {
    // The largest inputs have come by then. What may come on top is the allocator's unlucky order of large pieces.
    const WARM_UP: u32 = 300;
    const RUNS: u32 = 1500;
    const SLACK: usize = 2 * PAGE;
    const PAGE: usize = 64 << 10;
    // The same in every run of the test: the bound is about numbers, not about a case to be found.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut chance = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let mut world = World::start(plugin, "", good);
    let mut warm = 0;
    for number in 0..RUNS {
        let Ok(run) = runs.new_tree(&mut chance) else { continue };
        let (config, actions) = run.current();
        world.configure(&config);
        world.run(&actions, &promise);
        world.forget();
        if number == WARM_UP {
            warm = world.memory();
        }
    }
    let end = world.memory();
    assert!(end <= warm + SLACK, "{plugin}: {warm} bytes of memory after {WARM_UP} runs, {end} after {RUNS}");
}

fn status(status: u16) -> Headers {
    vec![(":status".to_owned(), status.to_string().into_bytes())]
}
