// SPDX-License-Identifier: Apache-2.0
//! What the gateway's functions do, and when they refuse, as the real ones do.

use std::time::Duration;

use Status::{BadArgument, InternalFailure, NotFound, ParseFailure, Unimplemented};

use super::flow::{At, Message};
use super::redis::RedisInit;
use super::state::{Call, Content, Reply, State};
use super::{Headers, resp};

/// Why a function did nothing. (`WasmResult` in proxy-wasm-cpp-host.)
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Status {
    NotFound = 1,
    BadArgument = 2,
    ParseFailure = 4,
    InvalidMemoryAccess = 6,
    InternalFailure = 10,
    Unimplemented = 12,
}

impl State {
    pub(super) fn map<'a>(&'a mut self, map: u64) -> Result<Option<&'a Headers>, Status> {
        const CALL_HEADERS: u64 = 6;
        const CALL_TRAILERS: u64 = 7;
        let reply = |reply: &'a Option<Reply>| match reply {
            Some(Reply::Http(message)) => Some(message),
            _ => None,
        };
        match map {
            CALL_HEADERS => Ok(reply(&self.reply).map(|reply| &reply.headers)),
            CALL_TRAILERS => Ok(reply(&self.reply).map(|reply| &reply.trailers)),
            0..CALL_HEADERS => Ok(self.map_mut(map).ok().map(|headers| &*headers)),
            _ => Err(BadArgument),
        }
    }

    /// A map that can be changed, which only those of the stream can, and only until they have gone on.
    pub(super) fn map_mut(&mut self, map: u64) -> Result<&mut Headers, Status> {
        let stream = self.stream().ok_or(BadArgument)?;
        let goes_on = stream.resume_request || stream.resume_response;
        let (request, response) = (&mut stream.request, &mut stream.response);
        match map {
            0 if request.at == At::Headers && !request.is_passed() && !goes_on => Ok(&mut request.headers),
            1 if request.at == At::Trailers => request.trailers.as_mut().ok_or(BadArgument),
            2 if response.at == At::Headers && !response.is_passed() => Ok(&mut response.headers),
            3 if response.at == At::Trailers => response.trailers.as_mut().ok_or(BadArgument),
            _ => Err(BadArgument),
        }
    }

    pub(super) fn buffer(&mut self, buffer: u64) -> Result<&[u8], Status> {
        match buffer {
            0 => Ok(self.stream().map_or(&[], |stream| &stream.request.body)),
            1 => Ok(self.stream().map_or(&[], |stream| &stream.response.body)),
            4 => match &self.reply {
                Some(Reply::Http(message)) => Ok(&message.body),
                _ => Err(NotFound),
            },
            7 => self.configuration.as_deref().ok_or(NotFound),
            9 => match &self.reply {
                Some(Reply::Redis(reply)) => Ok(reply),
                _ => Ok(&[]),
            },
            10.. => Err(BadArgument),
            _ => Err(NotFound),
        }
    }

    /// (Envoy's `Buffer::copyFrom`.)
    pub(super) fn set_buffer(&mut self, buffer: u64, start: u64, size: u64, data: Vec<u8>) -> Result<(), Status> {
        let stream = self.stream().ok_or(BadArgument)?;
        let flow = match buffer {
            0 => &mut stream.request,
            1 => &mut stream.response,
            _ => return Err(BadArgument),
        };
        let length = flow.body.len() as u64;
        if flow.at != At::Body {
            return Err(BadArgument);
        } else if start == 0 && size == 0 {
            flow.body.splice(..0, data);
        } else if start == 0 && size >= length {
            flow.body = data;
        } else if start >= length && start > 0 {
            flow.body.extend(data);
        } else {
            return Err(BadArgument);
        }
        Ok(())
    }

    pub(super) fn continue_stream(&mut self, kind: u64) -> Result<(), Status> {
        let Some(stream) = self.stream() else { return Ok(()) };
        let (flow, resume) = match kind {
            0 => (&stream.request, &mut stream.resume_request),
            1 => (&stream.response, &mut stream.resume_response),
            2 => return Ok(()),
            3 => return Err(Unimplemented),
            _ => return Err(BadArgument),
        };
        let was_held = flow.paused && !*resume;
        *resume = true;
        if !was_held {
            self.violations.push("something was resumed that was not held".to_owned());
        }
        Ok(())
    }

    /// The cluster of that name must be known, and have a host if something is to be sent.
    fn check_cluster(&self, name: &str) -> Result<(), Status> {
        let cluster = self.clusters.get(name).ok_or(BadArgument)?;
        if cluster.has_no_hosts { Err(InternalFailure) } else { Ok(()) }
    }

    pub(super) fn http_call(&mut self, cluster: String, message: Message, timeout: u32) -> Result<u32, Status> {
        let known = self.clusters.contains_key(&cluster);
        let is_complete = [":method", ":path", ":authority"].iter().all(|name| !message.header(name).is_empty());
        if !known || !is_complete || timeout > i32::MAX as u32 {
            return Err(BadArgument);
        }
        self.check_cluster(&cluster)?;
        let timeout = Duration::from_millis(timeout.into());
        Ok(self.add_call(cluster, Content::Http { message, timeout }))
    }

    pub(super) fn redis_init(&mut self, mut init: RedisInit) -> Result<(), Status> {
        let name = init.service.split('?').next().unwrap_or_default().to_owned();
        let cluster = self.clusters.get_mut(&name);
        init.accepted = cluster.is_some();
        self.redis_inits.push(init.clone());
        let cluster = cluster.ok_or(BadArgument)?;
        // Every init ends the connection, and what waits on it. (Only later Higress spares an unchanged one.)
        cluster.connection = None;
        cluster.init = Some(init);
        let is_cut_off = |call: &Call| call.cluster == name && matches!(call.content, Content::Redis { .. });
        self.cut_off.extend(self.calls.iter().filter(|(_, call)| is_cut_off(call)).map(|(token, _)| *token));
        Ok(())
    }

    pub(super) fn redis_call(&mut self, service: &str, query: Vec<u8>) -> Result<u32, Status> {
        let cluster = service.split('?').next().unwrap_or_default().to_owned();
        self.check_cluster(&cluster)?;
        let Some(command) = resp::command(&query) else {
            self.violations.push("proxy_redis_call without exactly one command".to_owned());
            return Err(ParseFailure);
        };
        Ok(self.add_call(cluster, Content::Redis { query, command }))
    }

    fn add_call(&mut self, cluster: String, content: Content) -> u32 {
        // The kind of a call is in the two low bits of its token. (`CalloutType` in proxy-wasm-cpp-host.)
        let kind = if matches!(content, Content::Http { .. }) { 0 } else { 3 };
        let token = self.next_call << 2 | kind;
        self.next_call += 1;
        let context = self.context();
        let root = self.root();
        self.calls.insert(token, Call { root, owner: context, stream: self.acting, cluster, content });
        token
    }
}
