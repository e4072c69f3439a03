// SPDX-License-Identifier: Apache-2.0
//! The gateway in which things happen, and what holds in it whatever plugin runs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::super::flow::{At, Flow, Message};
use super::super::state::{Content, Reply as Answer, State, local_answer};
use super::super::{Headers, Higress, Plugin, Request};
use super::{Action, Arrival, CLUSTERS, Reply, Seen, status};

/// A request under way, with what is known of it only from outside.
struct Sent {
    request: Request,
    seen: Seen,
    body: Vec<u8>,
    response: Option<Message>,
    is_lost: bool,
}

/// A gateway in which things happen.
pub(super) struct World {
    higress: Higress,
    config: Value,
    sent: Vec<Sent>,
}

impl World {
    pub(super) fn start(plugin: &str, config: &str, good: &Value) -> Self {
        let gateway = || {
            let [one, two, without_hosts] = CLUSTERS;
            Plugin::built(plugin).gateway().cluster(one).cluster(two).cluster_without_hosts(without_hosts)
        };
        let (higress, config) = match gateway().start(config) {
            Ok(higress) => (higress, config.to_owned()),
            Err(refused) => {
                let said = refused.log.matches("] configuration refused").count();
                let lines = refused.log.lines().filter(|line| !line.contains("wasm log")).count();
                assert_eq!((said, lines), (1, 0), "{refused}: {}", refused.log);
                let higress = gateway().start(good);
                (higress.unwrap_or_else(|refused| fail(&refused.log)), good.to_string())
            }
        };
        World { higress, config: read(&config), sent: Vec::new() }
    }

    /// A configuration that is refused leaves one line in the log, and the old one in force.
    pub(super) fn configure(&mut self, config: &str) {
        let before = self.state(|state| state.log.len());
        let result = self.higress.configure(config);
        let said = self.state(|state| state.log.split_off(before.min(state.log.len())));
        let said: Vec<_> = said.iter().filter(|(_, text)| text.contains("] configuration refused")).collect();
        match result {
            Ok(()) => {
                assert!(said.is_empty(), "{said:?}");
                self.config = read(config);
            }
            Err(refused) => assert!(matches!(said[..], [(_, text)] if !text.contains('\n')), "{refused}: {said:?}"),
        }
    }

    pub(super) fn run(&mut self, actions: &[Action], promise: &impl Fn(&Seen)) {
        for action in actions {
            match action {
                Action::Arrive(arrival) => self.arrive(arrival),
                Action::Configure(config) => self.configure(config),
                Action::Pass(seconds) => self.higress.pass_time(Duration::from_secs((*seconds).into())),
                Action::Reply(call, reply) => self.reply(*call, reply),
                Action::Body(at, ..) | Action::Respond(at, _) | Action::Leave(at) | Action::GiveUp(at) => {
                    let at = usize::from(*at).checked_rem(self.sent.len());
                    if let Some(sent) = at.and_then(|at| self.sent.get_mut(at)).filter(|sent| !sent.request.is_over()) {
                        sent.meet(action);
                    }
                }
            }
        }
        self.end(promise);
    }

    fn arrive(&mut self, arrival: &Arrival) {
        let calls = |counts: &BTreeMap<String, u64>| {
            let calls = ["proxy_http_call", "proxy_redis_call", "proxy_redis_init"];
            calls.iter().filter_map(|name| counts.get(*name)).sum::<u64>()
        };
        let before = self.state(|state| calls(&state.host_calls));
        let mut request = self.higress.request("GET", "/").route(&arrival.route).upstream(&arrival.cluster);
        let flow = &mut request.stream.request;
        flow.headers.clone_from(&arrival.headers);
        flow.incoming = arrival.body.clone().into();
        flow.trailers = (!arrival.trailers.is_empty()).then(|| arrival.trailers.clone());
        flow.open = arrival.open;
        let request = request.send();
        let called = self.state(|state| calls(&state.host_calls)) > before;
        let (config, sent) = (self.config.clone(), arrival.headers.clone());
        let seen = Seen { config, sent, called, replies: Vec::new(), upstream: None, answer: None };
        self.sent.push(Sent { request, seen, body: arrival.body.concat(), response: None, is_lost: false });
    }

    /// Answers a call.
    fn reply(&mut self, call: u8, reply: &Reply) {
        let call = self.state(|state| {
            let at = usize::from(call).checked_rem(state.calls.len())?;
            state.calls.iter().nth(at).map(|(token, call)| (*token, call.clone()))
        });
        let Some((token, call)) = call else { return };
        let reply = match (&call.content, reply) {
            (Content::Http { .. }, Reply::Http(_)) | (Content::Redis { .. }, Reply::Redis(_)) => reply.clone(),
            _ => Reply::None,
        };
        // Those of requests that are over already come too late to count.
        let open = |sent: &&mut Sent| sent.request.id == call.stream && !sent.request.is_over();
        if let Some(sent) = self.sent.iter_mut().find(open) {
            sent.seen.replies.push(reply.clone());
        }
        self.higress.inner.reply(
            token,
            match reply {
                Reply::Http(message) => Some(Answer::Http(message)),
                Reply::Redis(bytes) => Some(Answer::Redis(bytes)),
                Reply::None => None,
            },
        );
        self.higress.inner.settle();
    }

    /// Lets come all that is still to come, and looks at what became of the requests.
    fn end(&mut self, promise: &impl Fn(&Seen)) {
        while self.higress.calls_under_way() > 0 {
            self.reply(0, &Reply::None);
        }
        for mut sent in self.sent.drain(..) {
            sent.meet(&Action::Body(0, Vec::new(), true));
            let body = b"from upstream".to_vec();
            sent.meet(&Action::Respond(0, Message { headers: status(200), body, ..Message::default() }));
            sent.end();
            promise(&sent.seen);
        }
        let left = self.state(|state| state.calls.len());
        assert_eq!(left, 0, "calls without a request");
    }

    /// Lets the gateway forget what is over, old configurations included, as the real one does.
    pub(super) fn forget(&mut self) {
        let inner = &self.higress.inner;
        let current = self.higress.root.get();
        let old: Vec<_> = self.state(|state| state.roots.iter().copied().filter(|root| *root != current).collect());
        for root in old {
            for function in ["proxy_on_done", "proxy_on_delete"] {
                inner.try_call(root, function, &[root]).unwrap_or_else(|trap| fail(&format!("{trap:#}")));
            }
            self.state(|state| state.roots.remove(&root));
        }
        self.state(|state| {
            state.streams.clear();
            state.redis_inits.clear();
            state.log.clear();
        });
    }

    pub(super) fn memory(&self) -> usize {
        self.higress.memory_bytes().unwrap_or_default()
    }

    fn state<T>(&self, see: impl FnOnce(&mut State) -> T) -> T {
        self.higress.inner.with(see)
    }
}

impl Sent {
    fn meet(&mut self, action: &Action) {
        let request = &self.request;
        let (is_open, has_response) = request.see(|stream| {
            let has_response = stream.response.at != At::Start || !stream.response.headers.is_empty();
            (stream.request.open && !stream.is_over, has_response || stream.is_over)
        });
        match action {
            Action::Body(_, part, is_last) if is_open => {
                self.body.extend(part);
                request.send_body(part, *is_last);
            }
            Action::Respond(_, message) if !has_response && request.upstream().is_some() => {
                self.response = Some(message.clone());
                request.see(|stream| stream.response = Flow::from(message.clone()));
                request.inner.settle();
            }
            Action::Leave(_) => {
                self.is_lost = true;
                request.client_leaves();
            }
            Action::GiveUp(_) if !has_response => {
                self.is_lost = true;
                let answer = local_answer(504, Headers::new(), b"stream timeout".to_vec());
                request.see(|stream| stream.local_answer = Some(answer));
                request.inner.settle();
            }
            _ => {}
        }
    }

    /// Whatever plugin it is: the request has come to an end, and nothing of what went on is lost.
    fn end(&mut self) {
        self.seen.upstream = self.request.upstream();
        let passed = self.seen.upstream.as_ref().map(|upstream| &upstream.body[..]).unwrap_or_default();
        assert!(self.body.starts_with(passed), "another body went on than the client has sent: {:?}", self.seen);
        if self.is_lost {
            assert!(self.request.is_over(), "it goes on without its client: {:?}", self.seen);
            return;
        }
        let answer = self.request.answer();
        if let Some(response) = &self.response {
            assert_eq!((answer.status(), &answer.body), (response.status(), &response.body), "{:?}", self.seen);
        } else {
            assert!(self.seen.upstream.is_none(), "answered, and passed on: {:?}", self.seen);
        }
        self.seen.answer = Some(answer);
    }
}

/// No text at all is an empty configuration.
fn read(config: &str) -> Value {
    if config.is_empty() { Value::Object(Map::new()) } else { serde_json::from_str(config).unwrap_or_default() }
}

#[expect(clippy::panic, reason = "a failed test")]
fn fail(why: &str) -> ! {
    panic!("{why}")
}
