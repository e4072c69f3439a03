// SPDX-License-Identifier: Apache-2.0
//! The gateway's side: what it knows, whatever way the plugin is run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Headers;
use super::flow::{At, Event, Flow, Message};
use super::redis::RedisInit;
use crate::Address;

/// The state as the gateway and the plugin share it.
pub(super) type Shared = Arc<Mutex<State>>;

pub(super) fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(super) struct State {
    /// Set while the module starts: it may do nothing but log.
    pub(super) starting: bool,
    /// Set while the plugin is configured.
    pub(super) configuration: Option<Vec<u8>>,
    pub(super) log: Vec<(u32, String)>,
    /// What the plugin did that no plugin may do.
    pub(super) violations: Vec<String>,
    pub(super) host_calls: BTreeMap<String, u64>,
    pub(super) now: Duration,
    pub(super) log_level: u32,
    pub(super) buffer_limit: usize,
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) roots: BTreeSet<u32>,
    pub(super) streams: BTreeMap<u32, Stream>,
    /// The context of the callback that is running; 0 for none.
    pub(super) current: u32,
    /// The one that the plugin said to act for; 0 for none.
    pub(super) effective: u32,
    /// The stream that the plugin was last told to act for, in this callback; 0 for none.
    pub(super) acting: u32,
    pub(super) calls: BTreeMap<u32, Call>,
    /// Calls whose connection the plugin itself has ended.
    pub(super) cut_off: VecDeque<u32>,
    /// The reply of the callback that is running.
    pub(super) reply: Option<Reply>,
    pub(super) redis_inits: Vec<RedisInit>,
    pub(super) next_call: u32,
}

/// A cluster that the gateway knows.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) has_no_hosts: bool,
    pub(super) init: Option<RedisInit>,
    /// The real server behind it, if it is not the test that answers.
    pub(super) redis: Option<Address>,
    pub(super) connection: Option<TcpStream>,
}

/// A call that waits for its reply.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The root context, for which its callback comes.
    pub(super) root: u32,
    /// The context in whose name it was made: an HTTP call ends with it, without a callback.
    pub(super) owner: u32,
    /// The stream that the plugin acted for when it made the call; 0 for none.
    pub(super) stream: u32,
    pub(super) cluster: String,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Http { message: Message, timeout: Duration },
    Redis { query: Vec<u8>, command: Vec<Vec<u8>> },
}

#[derive(Debug)]
pub(super) enum Reply {
    Http(Message),
    Redis(Vec<u8>),
}

/// One request and its response.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) root: u32,
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) request: Flow,
    pub(super) response: Flow,
    pub(super) local_answer: Option<Message>,
    pub(super) resume_request: bool,
    pub(super) resume_response: bool,
    /// The client got no answer, or half of one.
    pub(super) reset: bool,
    pub(super) is_over: bool,
}

/// What the gateway does next with a stream.
pub(super) enum Step {
    Request(Event),
    Response(Event),
    Over,
}

impl State {
    pub(super) fn new() -> Self {
        State {
            starting: false,
            configuration: None,
            log: Vec::new(),
            violations: Vec::new(),
            host_calls: BTreeMap::new(),
            now: Duration::from_secs(1_800_000_000),
            log_level: 2,
            buffer_limit: 1 << 20,
            clusters: BTreeMap::new(),
            roots: BTreeSet::new(),
            streams: BTreeMap::new(),
            current: 0,
            effective: 0,
            acting: 0,
            calls: BTreeMap::new(),
            cut_off: VecDeque::new(),
            reply: None,
            redis_inits: Vec::new(),
            next_call: 1,
        }
    }

    pub(super) fn context_exists(&self, id: u32) -> bool {
        self.roots.contains(&id) || self.streams.get(&id).is_some_and(|stream| !stream.is_over)
    }

    /// The context that a host call is for.
    pub(super) fn context(&self) -> u32 {
        if self.context_exists(self.effective) { self.effective } else { self.current }
    }

    /// The stream that a host call is for.
    pub(super) fn stream(&mut self) -> Option<&mut Stream> {
        let id = self.context();
        self.streams.get_mut(&id).filter(|stream| !stream.is_over)
    }

    /// The root of the context that a host call is for.
    pub(super) fn root(&mut self) -> u32 {
        let context = self.context();
        self.stream().map_or(context, |stream| stream.root)
    }

    /// The streams that wait for the plugin, which waits for nothing.
    pub(super) fn forgotten(&self) -> Vec<u32> {
        let waits = |id: &u32| self.calls.values().any(|call| call.stream == *id);
        let is_held = |stream: &Stream| !stream.is_over && (stream.request.is_held() || stream.response.is_held());
        self.streams.iter().filter(|(id, stream)| is_held(stream) && !waits(id)).map(|(id, _)| *id).collect()
    }
}

impl Stream {
    pub(super) fn next(&mut self, buffer_limit: usize) -> Option<Step> {
        if self.is_over {
            return None;
        }
        if let Some(answer) = self.local_answer.take() {
            self.answer(answer);
        }
        if std::mem::take(&mut self.resume_request) {
            self.request.pass();
        }
        if std::mem::take(&mut self.resume_response) {
            self.response.pass();
        }
        if self.reset {
            return Some(Step::Over);
        }
        if let Some(event) = self.request.next(buffer_limit) {
            return Some(Step::Request(event));
        }
        if !self.response.headers.is_empty() || self.response.is_passed() {
            if let Some(event) = self.response.next(buffer_limit) {
                return Some(Step::Response(event));
            }
            if self.response.at == At::End {
                return Some(Step::Over);
            }
        }
        None
    }

    /// The plugin's own answer, or the gateway's. (Envoy's `FilterManager::sendLocalReply`.)
    fn answer(&mut self, answer: Message) {
        self.request.stop();
        match self.response.at {
            // It takes the way of any response.
            At::Start => self.response = answer.into(),
            // The plugin sees the upstream's response and replaces it: nobody sees the answer any more.
            At::Headers if !self.response.is_passed() => {
                self.response.stop();
                self.response.passed = answer;
            }
            _ => self.reset = true,
        }
    }
}

impl From<Message> for Flow {
    fn from(Message { headers, body, trailers }: Message) -> Self {
        Flow {
            headers,
            incoming: (!body.is_empty()).then_some(body).into_iter().collect(),
            trailers: (!trailers.is_empty()).then_some(trailers),
            ..Flow::default()
        }
    }
}

/// An answer that the gateway makes itself. (Envoy's `Utility::prepareLocalReply`.)
pub(super) fn local_answer(status: u16, added: Headers, body: Vec<u8>) -> Message {
    let mut headers = vec![(":status".to_owned(), status.to_string().into_bytes())];
    headers.extend(added);
    headers.retain(|(name, _)| name != "content-length" && (name != "content-type" || !body.is_empty()));
    if !body.is_empty() {
        headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
        if headers.iter().all(|(name, _)| name != "content-type") {
            headers.push(("content-type".to_owned(), b"text/plain".to_vec()));
        }
    }
    Message { headers, body, trailers: Headers::new() }
}
