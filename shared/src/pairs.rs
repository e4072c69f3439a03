// SPDX-License-Identifier: Apache-2.0
//! The form in which header maps cross the Proxy-Wasm ABI: the number of pairs, the two lengths of each
//! pair, then each name and value with a zero byte behind it; numbers are 32 bits, little endian.
//! (Proxy-Wasm ABI specification 0.2.1, "Serialized map".)

use crate::Headers;

/// Encodes the pairs.
pub(crate) fn encode<N: AsRef<str>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> Vec<u8> {
    let sizes = pairs.iter().map(|(name, value)| name.as_ref().len() + value.as_ref().len() + 10);
    let mut bytes = Vec::with_capacity(4 + sizes.sum::<usize>());
    push_length(&mut bytes, pairs.len());
    for (name, value) in pairs {
        push_length(&mut bytes, name.as_ref().len());
        push_length(&mut bytes, value.as_ref().len());
    }
    for (name, value) in pairs {
        bytes.extend_from_slice(name.as_ref().as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(value.as_ref());
        bytes.push(0);
    }
    bytes
}

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&(length as u32).to_le_bytes());
}

/// Decodes the pairs; none at all if the bytes end too early. A name that is not UTF-8 gets replacement
/// characters, a value is kept as it is.
pub(crate) fn decode(bytes: &[u8]) -> Headers {
    decode_pairs(bytes).unwrap_or_default()
}

fn decode_pairs(bytes: &[u8]) -> Option<Headers> {
    let (count, rest) = take_length(bytes)?;
    let mut lengths = rest;
    let mut texts = rest.get(count.checked_mul(8)?..)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (name_length, rest) = take_length(lengths)?;
        let (value_length, rest) = take_length(rest)?;
        lengths = rest;
        let (name, rest) = take_text(texts, name_length)?;
        let (value, rest) = take_text(rest, value_length)?;
        texts = rest;
        pairs.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
    }
    Some(pairs)
}

fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*length) as usize, rest))
}

fn take_text(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    Some((text, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_byte_in_a_value_survives() {
        let all_bytes: Vec<u8> = (0..=255).collect();
        let headers = vec![
            (":path".to_string(), b"/".to_vec()),
            ("x-all".to_string(), all_bytes),
            ("x-empty".to_string(), Vec::new()),
            ("x-all".to_string(), b"again".to_vec()),
        ];
        assert_eq!(decode(&encode(&headers)), headers);
    }

    #[test]
    fn truncated_bytes_give_no_headers() {
        let bytes = encode(&[("name", "value"), ("other", "")]);
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), Headers::new(), "{length} bytes");
        }
    }

    #[test]
    fn lengths_beyond_the_bytes_give_no_headers() {
        assert_eq!(decode(&[255; 12]), Headers::new());
        assert_eq!(decode(&[1, 0, 0, 0, 255, 255, 255, 255, 1, 0, 0, 0, b'a', 0]), Headers::new());
    }
}
