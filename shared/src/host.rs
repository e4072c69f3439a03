// SPDX-License-Identifier: Apache-2.0
//! The gateway's functions (Proxy-Wasm ABI 0.2.1) that this crate calls by itself.
//!
//! The `proxy-wasm` crate has them too, but its versions panic on a status they do not expect, and its
//! `String` getters on bytes that are not UTF-8: a client could stop the gateway's filter with one header.
//! Here a status is a plain number and values are bytes.
#![expect(unsafe_code, reason = "the gateway's functions take raw pointers")]

use std::ptr::{null, null_mut};
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, Status as CrateStatus, StreamType};

use crate::http_call::HttpError;

/// Header names and values, in the order in which they came, repeats kept.
pub type Headers = Vec<(String, Vec<u8>)>;

/// What the gateway said instead of `Ok` (0): 1 not found, 2 bad argument, 10 internal failure, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(u32);

impl Status {
    fn check(status: u32) -> Result<(), Status> {
        match status {
            0 => Ok(()),
            status => Err(Status(status)),
        }
    }
}

/// Logs that something was not done, where the plugin can do nothing about it.
pub(crate) fn expect_done(result: Result<(), Status>, what: &str, name: &str) {
    if let Err(Status(status)) = result {
        log::error!("{what} {name}: refused by the gateway with status {status}");
    }
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: LogLevel, message: *const u8, size: usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, value: *mut *mut u8, value_size: *mut usize) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, max_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: BufferType,
        start: usize,
        replaced_size: usize,
        data: *const u8,
        size: usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_header_map_pairs(map: MapType, data: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_value(
        map: MapType,
        name: *const u8,
        name_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: MapType,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: MapType,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: MapType, name: *const u8, name_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_continue_stream(stream: StreamType) -> u32;
    fn proxy_set_effective_context(context_id: u32) -> u32;
}

/// The bytes that the gateway writes for `call`, which gets where to write address and size; `None` if the
/// gateway refuses.
///
/// # Safety
/// `call` passes both pointers to one function of the gateway, and gives its status.
unsafe fn read(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    match call(&mut data, &mut size) {
        0 if data.is_null() => Some(Vec::new()),
        // SAFETY: the gateway got the memory from proxy_on_memory_allocate with exactly this size, for us.
        0 => Some(unsafe { Vec::from_raw_parts(data, size, size) }),
        _ => None,
    }
}

pub(crate) fn log(level: LogLevel, message: &str) {
    // SAFETY: the gateway only reads the message. There is nobody to tell that logging failed.
    unsafe { proxy_log(level, message.as_ptr(), message.len()) };
}

/// The gateway's log level for plugins: 0 trace, 1 debug, 2 info, 3 warn, 4 error, 5 critical.
pub(crate) fn log_level() -> u32 {
    let mut level = LogLevel::Info as u32;
    // SAFETY: the gateway writes one u32.
    unsafe { proxy_get_log_level(&mut level) };
    level
}

/// The time since the Unix epoch.
pub(crate) fn now() -> Duration {
    let mut nanoseconds = 0;
    // SAFETY: the gateway writes one u64.
    unsafe { proxy_get_current_time_nanoseconds(&mut nanoseconds) };
    Duration::from_nanos(nanoseconds)
}

/// A property; `path` is its segments with a zero byte between them.
pub(crate) fn property(path: &str) -> Option<Vec<u8>> {
    // SAFETY: see `read`.
    unsafe { read(|data, size| proxy_get_property(path.as_ptr(), path.len(), data, size)) }
}

/// The name of the request's route; empty if it has none.
pub(crate) fn route_name() -> Vec<u8> {
    // Higress, and Envoy before it moved this to the attributes of its configuration.
    property("route_name").or_else(|| property("xds\0route_name")).unwrap_or_default()
}

/// The name of the upstream cluster that the request's route leads to; empty if there is none.
pub(crate) fn cluster_name() -> Vec<u8> {
    property("cluster_name").or_else(|| property("xds\0cluster_name")).unwrap_or_default()
}

pub(crate) fn buffer(buffer: BufferType) -> Vec<u8> {
    read_buffer(buffer as u32)
}

pub(crate) fn read_buffer(buffer: u32) -> Vec<u8> {
    // SAFETY: see `read`.
    unsafe { read(|data, size| proxy_get_buffer_bytes(buffer, 0, usize::MAX, data, size)) }.unwrap_or_default()
}

/// Puts `bytes` in the place of `replaced_size` bytes from `start` on.
pub(crate) fn set_buffer(buffer: BufferType, start: usize, replaced_size: usize, bytes: &[u8]) -> Result<(), Status> {
    // SAFETY: the gateway only reads `bytes`.
    Status::check(unsafe { proxy_set_buffer_bytes(buffer, start, replaced_size, bytes.as_ptr(), bytes.len()) })
}

pub(crate) fn headers(map: MapType) -> Headers {
    // SAFETY: see `read`.
    let pairs = unsafe { read(|data, size| proxy_get_header_map_pairs(map, data, size)) };
    pairs.map(|pairs| crate::pairs::decode(&pairs)).unwrap_or_default()
}

pub(crate) fn set_headers<N: AsRef<str>, V: AsRef<[u8]>>(map: MapType, headers: &[(N, V)]) -> Result<(), Status> {
    let pairs = crate::pairs::encode(headers);
    // SAFETY: the gateway only reads `pairs`.
    Status::check(unsafe { proxy_set_header_map_pairs(map, pairs.as_ptr(), pairs.len()) })
}

pub(crate) fn header(map: MapType, name: &str) -> Option<Vec<u8>> {
    // SAFETY: see `read`.
    unsafe { read(|data, size| proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size)) }
}

pub(crate) fn add_header(map: MapType, name: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: the gateway only reads name and value.
    Status::check(unsafe { proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

pub(crate) fn replace_header(map: MapType, name: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: the gateway only reads name and value.
    Status::check(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

pub(crate) fn remove_header(map: MapType, name: &str) -> Result<(), Status> {
    // SAFETY: the gateway only reads the name.
    Status::check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// Answers the client; `headers` are encoded pairs or nothing.
pub(crate) fn send_local_response(status: u16, headers: &[u8], body: &[u8]) -> Result<(), Status> {
    const NO_GRPC_STATUS: i32 = -1;
    // SAFETY: the gateway only reads headers and body.
    Status::check(unsafe {
        proxy_send_local_response(
            status.into(),
            null(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    })
}

/// Lets a paused request or response go on.
pub(crate) fn continue_stream(stream: StreamType) -> Result<(), Status> {
    // SAFETY: no memory is involved.
    Status::check(unsafe { proxy_continue_stream(stream) })
}

/// A time as the gateway takes it: 0 is none, and what is shorter than a millisecond is one.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    const MAX: u32 = i32::MAX as u32; // the gateway refuses more
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).map_or(MAX, |time| time.min(MAX))
}

/// Lets `call` reach the gateway as if the root context made it, and not the stream that does.
pub(crate) fn on_behalf_of<T>(root_id: u32, stream_id: u32, call: impl FnOnce() -> T) -> T {
    // SAFETY: no memory is involved; both contexts are there while the stream is.
    unsafe { proxy_set_effective_context(root_id) };
    let result = call();
    // SAFETY: as above.
    unsafe { proxy_set_effective_context(stream_id) };
    result
}

/// Sends an HTTP call and gives its token. Through the crate, which must know whom the reply is for.
pub(crate) fn http_call(
    cluster: &str,
    headers: &[(&str, &[u8])],
    body: Option<&[u8]>,
    timeout: Duration,
) -> Result<u32, HttpError> {
    // SAFETY: the crate only copies the values; it takes them as text for no reason of its own.
    let text = |&(name, value)| (name, unsafe { str::from_utf8_unchecked(value) });
    let headers = headers.iter().map(text).collect();
    let timeout = Duration::from_millis(milliseconds(timeout).into());
    match hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout) {
        Ok(token) => Ok(token),
        Err(CrateStatus::BadArgument) => Err(HttpError::NoSuchCluster),
        Err(_) => Err(HttpError::NotSent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_never_cut_off() {
        for (time, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(1_001), 2),
            (Duration::from_millis(500), 500),
            (Duration::from_millis((1 << 32) + 50), i32::MAX as u32),
            (Duration::MAX, i32::MAX as u32),
        ] {
            assert_eq!(milliseconds(time), expected, "{time:?}");
        }
    }
}
