// SPDX-License-Identifier: Apache-2.0
//! The gateway's functions: what each takes from the plugin's memory, and what it gives back.

use super::effects::Status::{self, BadArgument, InvalidMemoryAccess, NotFound, Unimplemented};
use super::flow::Message;
use super::guest::Memory;
use super::pairs;
use super::redis::RedisInit;
use super::state::{Shared, State, local_answer, lock};

/// What a function writes into the plugin's memory: the value, and where to.
enum Output {
    None,
    Bytes(Vec<u8>, u64, u64),
    Number32(u32, u64),
    Number64(u64, u64),
}

/// Runs a function of `env`, and gives its status.
pub(super) fn call<M: Memory>(state: &Shared, function: &str, args: &[u64], memory: &mut M) -> u32 {
    let output = {
        let mut state = lock(state);
        *state.host_calls.entry(function.to_owned()).or_default() += 1;
        if state.starting && function != "proxy_log" {
            state.violations.push(format!("{function} called while the module starts"));
        }
        run(&mut state, function, args, memory)
    };
    let written = output.and_then(|output| write(output, memory).ok_or(InvalidMemoryAccess));
    written.map_or_else(|status| status as u32, |()| 0)
}

fn write<M: Memory>(output: Output, memory: &mut M) -> Option<()> {
    match output {
        Output::None => Some(()),
        Output::Number32(number, to) => memory.write(to, &number.to_le_bytes()),
        Output::Number64(number, to) => memory.write(to, &number.to_le_bytes()),
        Output::Bytes(bytes, to, size_to) => {
            let address = if bytes.is_empty() { 0 } else { memory.allocate(bytes.len())? };
            memory.write(address, &bytes)?;
            memory.write_word(to, address)?;
            memory.write_word(size_to, bytes.len() as u64)
        }
    }
}

fn run<M: Memory>(state: &mut State, function: &str, args: &[u64], memory: &mut M) -> Result<Output, Status> {
    let mut read = |address, size| memory.read(address, size).ok_or(InvalidMemoryAccess);
    match (function, args) {
        ("proxy_log", &[level, text, size]) => {
            let text = String::from_utf8_lossy(&read(text, size)?).into_owned();
            state.log.push((level as u32, text));
        }
        ("proxy_get_log_level", &[to]) => return Ok(Output::Number32(state.log_level, to)),
        ("proxy_get_current_time_nanoseconds", &[to]) => {
            return Ok(Output::Number64(state.now.as_nanos() as u64, to));
        }
        ("proxy_get_property", &[path, path_size, to, size_to]) => {
            let path = read(path, path_size)?;
            let value = state.stream().and_then(|stream| stream.properties.get(&path)).ok_or(NotFound)?;
            return Ok(Output::Bytes(value.clone(), to, size_to));
        }
        ("proxy_set_property", &[path, path_size, value, value_size]) => {
            let (path, value) = (read(path, path_size)?, read(value, value_size)?);
            state.stream().ok_or(NotFound)?.properties.insert(path, value);
        }
        ("proxy_get_buffer_bytes", &[buffer, start, size, to, size_to]) => {
            let bytes = state.buffer(buffer)?;
            let end = start.checked_add(size).ok_or(BadArgument)?.min(bytes.len() as u64);
            let bytes = bytes.get(start as usize..end as usize).unwrap_or_default();
            return Ok(Output::Bytes(bytes.to_vec(), to, size_to));
        }
        ("proxy_set_buffer_bytes", &[buffer, start, size, data, data_size]) => {
            let data = read(data, data_size)?;
            state.set_buffer(buffer, start, size, data)?;
        }
        ("proxy_get_header_map_pairs", &[map, to, size_to]) => {
            // A map that is not there is an empty one here, and only here.
            let headers = state.map(map)?.filter(|headers| !headers.is_empty());
            return Ok(Output::Bytes(headers.map(pairs::encode).unwrap_or_default(), to, size_to));
        }
        ("proxy_get_header_map_value", &[map, name, name_size, to, size_to]) => {
            let name = name_of(&read(name, name_size)?);
            let map = state.map(map)?.ok_or(BadArgument)?;
            // Of a header that is repeated, the first.
            let (_, value) = map.iter().find(|(key, _)| *key == name).ok_or(NotFound)?;
            return Ok(Output::Bytes(value.clone(), to, size_to));
        }
        ("proxy_set_header_map_pairs", &[map, pairs, size]) => {
            let pairs = pairs::decode(&read(pairs, size)?).ok_or(BadArgument)?;
            *state.map_mut(map)? = pairs;
        }
        ("proxy_add_header_map_value", &[map, name, name_size, value, value_size]) => {
            let (name, value) = (name_of(&read(name, name_size)?), read(value, value_size)?);
            state.map_mut(map)?.push((name, value));
        }
        ("proxy_replace_header_map_value", &[map, name, name_size, value, value_size]) => {
            let (name, value) = (name_of(&read(name, name_size)?), read(value, value_size)?);
            let map = state.map_mut(map)?;
            let index = map.iter().position(|(key, _)| *key == name).unwrap_or(map.len());
            map.retain(|(key, _)| *key != name);
            map.insert(index, (name, value));
        }
        ("proxy_remove_header_map_value", &[map, name, name_size]) => {
            let name = name_of(&read(name, name_size)?);
            state.map_mut(map)?.retain(|(key, _)| *key != name);
        }
        ("proxy_continue_stream", &[kind]) => state.continue_stream(kind)?,
        ("proxy_send_local_response", &[status, details, details_size, body, body_size, headers, headers_size, _]) => {
            read(details, details_size)?;
            let (body, headers) = (read(body, body_size)?, read(headers, headers_size)?);
            let headers = pairs::decode(&headers).unwrap_or_default();
            if let Some(stream) = state.stream()
                && stream.local_answer.replace(local_answer(status as u16, headers, body)).is_some()
            {
                state.violations.push("a request was answered twice".to_owned());
            }
        }
        ("proxy_set_effective_context", &[context]) => {
            let exists = state.context_exists(context as u32);
            state.effective = if exists { context as u32 } else { return Err(BadArgument) };
            if state.streams.contains_key(&state.effective) {
                state.acting = state.effective;
            }
        }
        (
            "proxy_http_call",
            &[cluster, cluster_size, headers, headers_size, body, body_size, trailers, trailers_size, timeout, to],
        ) => {
            let cluster = name_of_cluster(&read(cluster, cluster_size)?);
            let headers = pairs::decode(&read(headers, headers_size)?).unwrap_or_default();
            let trailers = pairs::decode(&read(trailers, trailers_size)?).unwrap_or_default();
            let message = Message { headers, body: read(body, body_size)?, trailers };
            return Ok(Output::Number32(state.http_call(cluster, message, timeout as u32)?, to));
        }
        ("proxy_redis_init", &[service, service_size, user, user_size, password, password_size, timeout]) => {
            let mut text = |address, size| read(address, size).map(|text| String::from_utf8_lossy(&text).into_owned());
            state.redis_init(RedisInit {
                service: text(service, service_size)?,
                username: text(user, user_size)?,
                password: text(password, password_size)?,
                timeout: timeout as u32,
                accepted: false,
            })?;
        }
        ("proxy_redis_call", &[service, service_size, query, query_size, to]) => {
            let service = name_of_cluster(&read(service, service_size)?);
            return Ok(Output::Number32(state.redis_call(&service, read(query, query_size)?)?, to));
        }
        _ => {
            state.violations.push(format!("{function} called, which testkit does not have"));
            return Err(Unimplemented);
        }
    }
    Ok(Output::None)
}

/// Names of headers are matched without regard to case.
fn name_of(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

fn name_of_cluster(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
