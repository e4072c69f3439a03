// SPDX-License-Identifier: Apache-2.0
//! Brings requests, responses and replies to the plugin, in the order in which the gateway does.

use std::mem::take;

use anyhow::Error;

use super::flow::Event;
use super::guest::Guest;
use super::state::{Call, Content, Reply, Shared, State, Step, local_answer, lock};

/// A plugin that runs in its gateway.
pub(super) struct Inner {
    pub(super) plugin: String,
    pub(super) state: Shared,
    pub(super) guest: Box<dyn Guest>,
}

impl Inner {
    /// Looks at the state, or changes it.
    pub(super) fn with<T>(&self, see: impl FnOnce(&mut State) -> T) -> T {
        see(&mut lock(&self.state))
    }

    /// Fails the test.
    #[expect(clippy::panic, reason = "a failed test")]
    pub(super) fn fail(&self, why: &str) -> ! {
        panic!("{}: {why}\nthe plugin's log:\n{}", self.plugin, self.log());
    }

    /// The log, a line for each entry, in the form of Envoy's.
    pub(super) fn log(&self) -> String {
        let level =
            |level| ["trace", "debug", "info", "warning", "error", "critical"].get(level).copied().unwrap_or("?");
        let line = |(number, text): &(u32, String)| {
            format!("[{}] wasm log {}: {text}\n", level(*number as usize), self.plugin)
        };
        self.with(|state| state.log.iter().map(line).collect())
    }

    /// Calls the plugin for one of its contexts.
    pub(super) fn try_call(&self, context: u32, function: &'static str, args: &[u32]) -> Result<u32, Error> {
        self.with(|state| {
            let acting = if state.streams.contains_key(&context) { context } else { 0 };
            (state.current, state.effective, state.acting) = (context, 0, acting);
        });
        let result = self.guest.call(function, args);
        self.with(|state| (state.current, state.effective, state.acting, state.reply) = (0, 0, 0, None));
        result
    }

    fn call(&self, context: u32, function: &'static str, args: &[u32]) -> u32 {
        self.try_call(context, function, args)
            .unwrap_or_else(|trap| self.fail(&format!("{function} trapped: {trap:#}")))
    }

    /// Does what is to be done until something comes from outside, and checks the plugin.
    pub(super) fn settle(&self) {
        loop {
            let mut did_something = false;
            let streams: Vec<_> = self.with(|state| state.streams.keys().copied().collect());
            for id in streams {
                while self.step(id) {
                    did_something = true;
                }
            }
            did_something |= self.bring_due_replies();
            if !did_something {
                break;
            }
        }
        let violations = self.with(|state| {
            let forgotten = state.forgotten().into_iter();
            let forgotten = forgotten.map(|id| format!("request {id} is held, and nothing would let it go on"));
            take(&mut state.violations).into_iter().chain(forgotten).collect::<Vec<_>>()
        });
        if !violations.is_empty() {
            self.fail(&violations.join("\n"));
        }
    }

    /// Does one thing for a stream; false if there is nothing to do.
    fn step(&self, id: u32) -> bool {
        let step = self.with(|state| {
            let limit = state.buffer_limit;
            state.streams.get_mut(&id).and_then(|stream| stream.next(limit))
        });
        match step {
            None => return false,
            Some(Step::Over) => self.end(id),
            Some(Step::Request(Event::TooLarge)) => {
                self.with(|state| {
                    let answer = local_answer(413, Vec::new(), b"Payload Too Large".to_vec());
                    state.streams.get_mut(&id).map(|stream| stream.local_answer = Some(answer))
                });
            }
            Some(Step::Response(Event::TooLarge)) => {
                self.with(|state| state.streams.get_mut(&id).map(|stream| stream.reset = true));
            }
            Some(Step::Request(event)) => {
                let functions = ["proxy_on_request_headers", "proxy_on_request_body", "proxy_on_request_trailers"];
                let pause = self.bring(id, functions, event);
                self.with(|state| {
                    let stream = state.streams.get_mut(&id).filter(|stream| stream.local_answer.is_none());
                    stream.map(|stream| stream.request.returned(pause))
                });
            }
            Some(Step::Response(event)) => {
                let functions = ["proxy_on_response_headers", "proxy_on_response_body", "proxy_on_response_trailers"];
                let pause = self.bring(id, functions, event);
                self.with(|state| {
                    let stream = state.streams.get_mut(&id).filter(|stream| stream.local_answer.is_none());
                    stream.map(|stream| stream.response.returned(pause))
                });
            }
        }
        true
    }

    /// Calls one of the functions for headers, body and trailers; whether the message is to wait.
    fn bring(&self, id: u32, [headers, body, trailers]: [&'static str; 3], event: Event) -> bool {
        let result = match event {
            Event::Headers { count, ended } => self.call(id, headers, &[id, count as u32, ended.into()]),
            Event::Body { size, ended } => self.call(id, body, &[id, size as u32, ended.into()]),
            Event::Trailers { count } => self.call(id, trailers, &[id, count as u32]),
            Event::TooLarge => 0,
        };
        result != 0
    }

    /// The end of a stream.
    pub(super) fn end(&self, id: u32) {
        if self.with(|state| state.streams.get(&id).is_none_or(|stream| stream.is_over)) {
            return;
        }
        self.call(id, "proxy_on_log", &[id]);
        self.call(id, "proxy_on_done", &[id]);
        self.call(id, "proxy_on_delete", &[id]);
        self.with(|state| {
            let is_cancelled = |call: &Call| call.owner == id && matches!(call.content, Content::Http { .. });
            state.calls.retain(|_, call| !is_cancelled(call));
            state.streams.get_mut(&id).map(|stream| stream.is_over = true)
        });
    }

    /// Lets the plugin drop all that it has, as a gateway does that stops.
    fn stop(&self) -> Result<(), Error> {
        let (streams, roots) = self.with(|state| {
            let streams = state.streams.iter().filter(|(_, stream)| !stream.is_over).map(|(id, _)| *id);
            (streams.collect::<Vec<_>>(), take(&mut state.roots))
        });
        for id in streams.into_iter().chain(roots) {
            self.try_call(id, "proxy_on_log", &[id])?;
            self.try_call(id, "proxy_on_done", &[id])?;
            self.try_call(id, "proxy_on_delete", &[id])?;
        }
        Ok(())
    }

    /// Brings replies that nobody has to be waited for: of real servers, and of connections that have ended.
    fn bring_due_replies(&self) -> bool {
        let cut_off = self.with(|state| state.cut_off.pop_front());
        if let Some(token) = cut_off {
            self.reply(token, None);
            return true;
        }
        let due = self.with(|state| {
            let mut due = None;
            for (token, call) in &state.calls {
                if let Content::Redis { query, .. } = &call.content
                    && let Some(cluster) =
                        state.clusters.get_mut(&call.cluster).filter(|cluster| cluster.redis.is_some())
                {
                    due = Some((*token, cluster.exchange(query).ok()));
                    break;
                }
            }
            due
        });
        due.is_some_and(|(token, reply)| {
            self.reply(token, reply.map(Reply::Redis));
            true
        })
    }

    /// Brings the reply to a call, or that there is none.
    pub(super) fn reply(&self, token: u32, reply: Option<Reply>) {
        let Some(Call { root, content, .. }) = self.with(|state| state.calls.remove(&token)) else { return };
        let count = |headers: &super::Headers| headers.len() as u32;
        match content {
            Content::Http { .. } => {
                let sizes = match &reply {
                    Some(Reply::Http(reply)) => {
                        [count(&reply.headers), reply.body.len() as u32, count(&reply.trailers)]
                    }
                    _ => [0; 3],
                };
                let [headers, body, trailers] = sizes;
                self.with(|state| state.reply = reply);
                self.call(root, "proxy_on_http_call_response", &[root, token, headers, body, trailers]);
            }
            Content::Redis { .. } => {
                let (status, size) = match &reply {
                    Some(Reply::Redis(reply)) => (0, reply.len() as u32),
                    _ => (1, 0),
                };
                self.with(|state| state.reply = reply);
                self.call(root, "proxy_on_redis_call_response", &[root, token, status, size]);
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A plugin that has trapped has nothing to drop any more.
        let _ = self.stop();
    }
}
