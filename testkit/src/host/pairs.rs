// SPDX-License-Identifier: Apache-2.0
//! The form of header maps between gateway and plugin (Proxy-Wasm ABI 0.2.1, "Serialized map").

use super::Headers;

/// Encodes a map.
pub(super) fn encode(headers: &Headers) -> Vec<u8> {
    let mut bytes = (headers.len() as u32).to_le_bytes().to_vec();
    for (name, value) in headers {
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in headers {
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(value);
        bytes.push(0);
    }
    bytes
}

/// Decodes a map; names come in lower case, as Envoy keeps them. `None` if it is malformed.
pub(super) fn decode(bytes: &[u8]) -> Option<Headers> {
    if bytes.is_empty() {
        return Some(Headers::new());
    }
    let (count, mut lengths) = length(bytes)?;
    let mut texts = lengths.get(count.checked_mul(8)?..)?;
    let mut headers = Headers::new();
    for _ in 0..count {
        let (name_length, rest) = length(lengths)?;
        let (value_length, rest) = length(rest)?;
        lengths = rest;
        let (name, rest) = text(texts, name_length)?;
        let (value, rest) = text(rest, value_length)?;
        texts = rest;
        headers.push((str::from_utf8(name).ok()?.to_ascii_lowercase(), value.to_vec()));
    }
    texts.is_empty().then_some(headers)
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*length) as usize, rest))
}

fn text(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    Some((text, rest.strip_prefix(&[0])?))
}
