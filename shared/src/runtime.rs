// SPDX-License-Identifier: Apache-2.0
//! Between the gateway's callbacks and a plugin's `handle`: the only place that pauses, resumes and answers.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType, StreamType};

use crate::callout::{self, Sizes};
use crate::never_called::{context_never_called, http_context_never_called};
use crate::rules::{RequestFacts, Rules};
use crate::turn::{Stage, Turn};
use crate::{Error, OnError, Plugin, Request, Response, deserialize, host, logging};

/// Registers `P` with the gateway; called by [`plugin!`](crate::plugin) when the module starts.
#[doc(hidden)]
pub fn start<P: Plugin>(name: &'static str) {
    logging::start(name);
    proxy_wasm::set_root_context(|id| Box::new(Root::<P> { id, rules: None }));
}

/// The plugin with its configurations; there is one per instance of the module.
struct Root<P> {
    id: u32,
    rules: Option<Rc<Rules<Rc<P>>>>,
}

impl<P> Context for Root<P> {
    context_never_called!();
}

impl<P: Plugin> RootContext for Root<P> {
    fn on_configure(&mut self, size: usize) -> bool {
        let json = host::buffer(BufferType::PluginConfiguration);
        if json.len() != size {
            log::error!("configuration refused: only {} of its {size} bytes could be read", json.len());
            return false;
        }
        let rules =
            Rules::from_json(&json, P::RULES_INHERIT, |config| P::new(deserialize::from_json(config)?).map(Rc::new));
        match rules {
            Ok(rules) => {
                self.rules = Some(Rc::new(rules));
                true
            }
            Err(error) => {
                log::error!("configuration refused: {error}");
                false
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, stream_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            rules: self.rules.clone(),
            turn: Turn { stream_id, root_id: self.id, stage: Stage::RequestHeaders, ended: false, calls: Vec::new() },
            work: None,
            held: None,
        }))
    }
}

/// One request on its way through the plugin.
struct Stream<P> {
    rules: Option<Rc<Rules<Rc<P>>>>,
    turn: Turn,
    /// What the plugin still has to do.
    work: Option<Work<P>>,
    /// The stage at which the gateway was told to hold the request or the response.
    held: Option<Stage>,
}

struct Work<P> {
    plugin: Rc<P>,
    future: Pin<Box<dyn Future<Output = Result<Response, Error>>>>,
}

impl<P: Plugin> Stream<P> {
    /// Lets the plugin work until it waits for something or is done.
    fn work(&mut self) {
        let Some(work) = &mut self.work else { return };
        let mut context = TaskContext::from_waker(Waker::noop());
        let result = match self.turn.lend(|| work.future.as_mut().poll(&mut context)) {
            Poll::Ready(result) => result,
            Poll::Pending if self.turn.can_wake() => return,
            Poll::Pending => Err(Error::new("waits for something that the gateway does not bring")),
        };
        if let Some(Work { plugin, .. }) = self.work.take() {
            let response = result.unwrap_or_else(|error| {
                log::error!("{error}");
                match plugin.on_error(&error) {
                    OnError::Pass => Response::passed(),
                    OnError::Answer(response) => response,
                }
            });
            self.turn.stage = match response.into_local_reply() {
                None => Stage::Done,
                Some(reply) => {
                    reply.send();
                    Stage::Answered
                }
            };
        }
    }

    /// What the gateway is to do with a message that is at `stage`.
    fn action_at(&mut self, stage: Stage) -> Action {
        if self.turn.goes_on_from(stage) {
            self.held = None;
            Action::Continue
        } else {
            self.held = Some(stage);
            Action::Pause
        }
    }

    /// Lets go on what was held, if the plugin has come so far. For callbacks that return no action.
    fn resume(&mut self) {
        let Some(stage) = self.held else { return };
        if self.turn.goes_on_from(stage) {
            self.held = None;
            let stream = if stage < Stage::Upstream { StreamType::HttpRequest } else { StreamType::HttpResponse };
            host::expect_done(host::continue_stream(stream), "resume", "stream");
        }
    }

    /// A call of the plugin's has its reply.
    fn on_reply(&mut self, token: u32, sizes: Sizes) {
        if callout::receive(&mut self.turn.calls, token, sizes) {
            self.work();
            self.resume();
        }
    }

    /// A part of the body that `stage` is about is here; the plugin gets it when it is whole.
    fn on_body(&mut self, stage: Stage, ended: bool) -> Action {
        if self.turn.stage == Stage::Answered && stage == Stage::RequestBody {
            return Action::Pause; // nobody has seen it, so it does not go on
        }
        if self.work.is_none() || self.turn.stage > stage {
            return Action::Continue;
        }
        self.turn.ended = ended;
        if ended {
            self.work();
        }
        self.action_at(stage)
    }
}

impl<P: Plugin> Context for Stream<P> {
    context_never_called!();

    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, trailers: usize) {
        self.on_reply(token, Sizes { headers, body, trailers });
    }

    /// Brings the replies of Redis: see `redis::higress`.
    fn on_foreign_function(&mut self, token: u32, size: usize) {
        self.on_reply(token, Sizes { headers: 0, body: size, trailers: 0 });
    }
}

impl<P: Plugin> HttpContext for Stream<P> {
    http_context_never_called!();

    fn on_http_request_headers(&mut self, _count: usize, ended: bool) -> Action {
        let Some(plugin) = self.rules.as_ref().and_then(|rules| rules.find(&GatewayFacts)) else {
            return Action::Continue;
        };
        let plugin = plugin.clone();
        let future = Box::pin({
            let plugin = plugin.clone();
            async move { plugin.handle(Request::new()).await }
        });
        self.work = Some(Work { plugin, future });
        self.turn.ended = ended;
        self.work();
        self.action_at(Stage::RequestHeaders)
    }

    fn on_http_request_body(&mut self, _size: usize, ended: bool) -> Action {
        self.on_body(Stage::RequestBody, ended)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.on_body(Stage::RequestBody, true)
    }

    fn on_http_response_headers(&mut self, _count: usize, ended: bool) -> Action {
        if self.work.is_none() {
            return Action::Continue;
        }
        if self.turn.stage < Stage::Upstream {
            // An answer to a request that the plugin still holds: the gateway gave up on it (body too
            // large, timeout), or the upstream did not wait for the body. Of that no more goes on.
            self.work = None;
            self.turn.stage = Stage::Answered;
            return Action::Continue;
        }
        self.turn.stage = Stage::ResponseHeaders;
        self.turn.ended = ended;
        self.work();
        self.action_at(Stage::ResponseHeaders)
    }

    fn on_http_response_body(&mut self, _size: usize, ended: bool) -> Action {
        self.on_body(Stage::ResponseBody, ended)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.on_body(Stage::ResponseBody, true)
    }
}

/// What rules ask about the request of the callback that is running.
struct GatewayFacts;

impl RequestFacts for GatewayFacts {
    fn authority(&self) -> Option<Vec<u8>> {
        host::header(MapType::HttpRequestHeaders, ":authority")
    }

    fn route_name(&self) -> Vec<u8> {
        host::route_name()
    }

    fn cluster_name(&self) -> Vec<u8> {
        host::cluster_name()
    }

    fn consumer(&self) -> Vec<u8> {
        host::header(MapType::HttpRequestHeaders, "x-mse-consumer").unwrap_or_default()
    }
}
