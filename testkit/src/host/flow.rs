// SPDX-License-Identifier: Apache-2.0
//! A message, request or response, on its way through the plugin.

use std::collections::VecDeque;
use std::mem::take;

use super::Headers;

/// What came out of the gateway: at the upstream, or at the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The headers, pseudo-headers included.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Headers,
}

impl Message {
    /// The values of the headers of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..]).collect()
    }

    /// The status of a response; 0 if there is none.
    #[must_use]
    pub fn status(&self) -> u16 {
        let status = self.header(":status").first().and_then(|status| str::from_utf8(status).ok()?.parse().ok());
        status.unwrap_or(0)
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum At {
    #[default]
    Start,
    Headers,
    Body,
    Trailers,
    End,
}

/// A callback that is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Headers {
        count: usize,
        ended: bool,
    },
    Body {
        size: usize,
        ended: bool,
    },
    Trailers {
        count: usize,
    },
    /// The body is larger than what the gateway buffers.
    TooLarge,
}

/// A message on its way: what is still to come, what the plugin sees of it, what has gone on.
#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) headers: Headers,
    pub(super) incoming: VecDeque<Vec<u8>>,
    pub(super) trailers: Option<Headers>,
    /// Whether more may come than what is there.
    pub(super) open: bool,
    /// What the plugin can see of the body: the part that just came, or all that it has held back.
    pub(super) body: Vec<u8>,
    pub(super) at: At,
    pub(super) paused: bool,
    pub(super) passed: Message,
}

impl Flow {
    fn has_ended(&self) -> bool {
        !self.open && self.incoming.is_empty() && self.trailers.is_none()
    }

    /// The callback that is due, if any.
    pub(super) fn next(&mut self, buffer_limit: usize) -> Option<Event> {
        let holds_body = self.paused && self.at == At::Body;
        if self.paused && !holds_body {
            return None;
        }
        match self.at {
            At::Start => {
                self.at = At::Headers;
                Some(Event::Headers { count: self.headers.len(), ended: self.has_ended() })
            }
            At::Headers | At::Body => {
                if let Some(part) = self.incoming.pop_front() {
                    self.at = At::Body;
                    if holds_body {
                        self.body.extend(part)
                    } else {
                        self.body = part
                    }
                    if holds_body && self.body.len() > buffer_limit {
                        return Some(Event::TooLarge);
                    }
                    Some(Event::Body { size: self.body.len(), ended: self.has_ended() })
                } else if let Some(trailers) = self.trailers.as_ref().filter(|_| !self.open) {
                    self.at = At::Trailers;
                    Some(Event::Trailers { count: trailers.len() })
                } else {
                    if self.has_ended() && !self.paused {
                        self.at = At::End;
                    }
                    None
                }
            }
            At::Trailers | At::End => None,
        }
    }

    /// What the plugin said about the callback: hold the message, or let it go on.
    pub(super) fn returned(&mut self, pause: bool) {
        if pause { self.paused = true } else { self.pass() }
    }

    /// Lets go on what is held.
    pub(super) fn pass(&mut self) {
        if self.paused && self.at == At::Headers {
            // What has come meanwhile comes in one piece.
            let parts: Vec<_> = take(&mut self.incoming).into();
            self.incoming.extend((!parts.is_empty()).then(|| parts.concat()));
        }
        self.paused = false;
        match self.at {
            At::Headers => self.passed.headers = take(&mut self.headers),
            At::Body => self.passed.body.append(&mut self.body),
            At::Trailers => {
                self.passed.body.append(&mut self.body);
                self.passed.trailers = self.trailers.take().unwrap_or_default();
            }
            At::Start | At::End => {}
        }
        if self.has_ended() {
            self.at = At::End;
        }
    }

    /// Ends it where it is.
    pub(super) fn stop(&mut self) {
        self.paused = false;
        self.incoming.clear();
        self.at = At::End;
    }

    /// Whether the headers have gone on.
    pub(super) fn is_passed(&self) -> bool {
        !self.passed.headers.is_empty()
    }

    /// Whether it waits for the plugin alone: nothing that may still come would wake it.
    pub(super) fn is_held(&self) -> bool {
        self.paused && !(self.at == At::Body && self.open)
    }
}
