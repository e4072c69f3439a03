// SPDX-License-Identifier: Apache-2.0
//! RESP2, the protocol of Redis: a command into bytes, bytes into replies.
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>)
//!
//! Replies are decoded by `redis-protocol`, which recurses into arrays and stops at the first reply; so what
//! it gets to see has been checked before: complete, not too deep, not too long, nothing behind it.

use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;

/// How deep arrays may stand in each other. The reply to a command of a plugin has two or three levels;
/// 100 000 of them, half a megabyte, would overflow the stack.
const MAX_DEPTH: usize = 16;

/// How many bytes replies may have together (4 MiB). Redis allows 512 MiB in one string; but a module's
/// memory never shrinks, and an array of small items takes about ten times its bytes when it is decoded.
pub(crate) const MAX_LENGTH: usize = 4 << 20;

const TOO_SHORT: &str = "the reply ends too early";
const TOO_MUCH: &str = "there are bytes behind the reply";
pub(crate) const TOO_LONG: &str = "the reply is longer than 4 MiB";
const TOO_DEEP: &str = "the reply has more than 16 arrays in each other";
const NOT_RESP2: &str = "the reply is not in RESP2";

/// What Redis answers to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing: no such key, no such field, or a condition that was not met.
    Null,
    /// An integer.
    Integer(i64),
    /// A simple string such as `OK`: what Redis says, not what somebody has stored.
    Status(Vec<u8>),
    /// A bulk string: any bytes. Numbers with a fraction come in this form too.
    Bytes(Vec<u8>),
    /// An error, beginning with its kind: `WRONGTYPE Operation against a key ...`. A plugin sees it inside an
    /// array only; as a whole reply it is [`RedisError::Server`](crate::RedisError::Server).
    Error(String),
    /// An array.
    Array(Vec<Reply>),
}

/// Encodes a command: its name and its arguments.
pub(crate) fn encode<A: AsRef<[u8]>>(command: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for arg in command {
        let arg = arg.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Decodes the replies to `count` commands, one after another and nothing behind them. The error says in what
/// way the bytes are something else, and holds nothing of them.
pub(crate) fn decode(bytes: &[u8], count: usize) -> Result<Vec<Reply>, &'static str> {
    check(bytes, count)?;
    let mut replies = Vec::with_capacity(count);
    let mut rest = bytes;
    for _ in 0..count {
        let Ok(Some((frame, length))) = decode_range(rest) else { return Err(NOT_RESP2) };
        replies.push(Reply::of(frame, rest));
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(replies)
}

impl Reply {
    /// Copies what `frame` points at in `bytes`.
    fn of(frame: RangeFrame, bytes: &[u8]) -> Self {
        let copy = |(start, end)| bytes.get(start..end).unwrap_or_default().to_vec();
        match frame {
            RangeFrame::Null => Reply::Null,
            RangeFrame::Integer(number) => Reply::Integer(number),
            RangeFrame::SimpleString(range) => Reply::Status(copy(range)),
            RangeFrame::BulkString(range) => Reply::Bytes(copy(range)),
            RangeFrame::Error(range) => Reply::Error(String::from_utf8_lossy(&copy(range)).into_owned()),
            RangeFrame::Array(items) => Reply::Array(items.into_iter().map(|item| Reply::of(item, bytes)).collect()),
        }
    }
}

/// Checks that the bytes are `count` replies within the limits, without recursion.
fn check(bytes: &[u8], count: usize) -> Result<(), &'static str> {
    if bytes.len() > MAX_LENGTH {
        return Err(TOO_LONG);
    }
    // How many items are still to come: in `count` itself, then in each array that has begun.
    let mut missing = vec![count];
    let mut rest = bytes;
    while let Some(items) = missing.last_mut() {
        if *items == 0 {
            missing.pop();
            continue;
        }
        *items -= 1;
        let (kind, line) = take_line(&mut rest)?;
        match kind {
            b'+' | b'-' | b':' => {}
            b'$' => {
                if let Some(length) = length(line)? {
                    let (_, end) = rest.split_at_checked(length).ok_or(TOO_SHORT)?;
                    let (end, behind) = end.split_at_checked(2).ok_or(TOO_SHORT)?;
                    if end != b"\r\n" {
                        return Err(NOT_RESP2);
                    }
                    rest = behind;
                }
            }
            b'*' => {
                if let Some(length) = length(line)? {
                    if missing.len() > MAX_DEPTH {
                        return Err(TOO_DEEP);
                    }
                    missing.push(length);
                }
            }
            _ => return Err(NOT_RESP2),
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(TOO_MUCH) }
}

/// Takes the first line: the byte that says what it is, and the rest of it.
fn take_line<'a>(bytes: &mut &'a [u8]) -> Result<(u8, &'a [u8]), &'static str> {
    let (&kind, rest) = bytes.split_first().ok_or(TOO_SHORT)?;
    let end = rest.windows(2).position(|two| two == b"\r\n").ok_or(TOO_SHORT)?;
    let (line, rest) = rest.split_at_checked(end).ok_or(TOO_SHORT)?;
    *bytes = rest.get(2..).unwrap_or_default();
    Ok((kind, line))
}

/// A length; -1, which stands for null, is none.
fn length(line: &[u8]) -> Result<Option<usize>, &'static str> {
    let number = str::from_utf8(line).ok().and_then(|text| text.parse::<isize>().ok()).ok_or(NOT_RESP2)?;
    if number == -1 { Ok(None) } else { usize::try_from(number).map(Some).map_err(|_| NOT_RESP2) }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    fn encode_reply(reply: &Reply, bytes: &mut Vec<u8>) {
        let line = |bytes: &mut Vec<u8>, parts: [&[u8]; 2]| {
            bytes.extend(parts.concat());
            bytes.extend(b"\r\n");
        };
        match reply {
            Reply::Null => line(bytes, [b"$", b"-1"]),
            Reply::Integer(number) => line(bytes, [b":", number.to_string().as_bytes()]),
            Reply::Status(text) => line(bytes, [b"+", text]),
            Reply::Error(text) => line(bytes, [b"-", text.as_bytes()]),
            Reply::Bytes(text) => {
                line(bytes, [b"$", text.len().to_string().as_bytes()]);
                line(bytes, [text, b""]);
            }
            Reply::Array(items) => {
                line(bytes, [b"*", items.len().to_string().as_bytes()]);
                for item in items {
                    encode_reply(item, bytes);
                }
            }
        }
    }

    fn encoded(replies: &[Reply]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for reply in replies {
            encode_reply(reply, &mut bytes);
        }
        bytes
    }

    fn any_reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            Just(Reply::Null),
            any::<i64>().prop_map(Reply::Integer),
            vec(any::<u8>(), 0..20).prop_map(Reply::Bytes),
            vec(any::<u8>().prop_filter("ends the line", |byte| *byte != b'\r'), 0..20).prop_map(Reply::Status),
            vec(any::<char>().prop_filter("ends the line", |char| *char != '\r'), 0..20)
                .prop_map(|text| Reply::Error(text.into_iter().collect())),
        ];
        leaf.prop_recursive(4, 32, 4, |items| vec(items, 0..4).prop_map(Reply::Array))
    }

    fn nested(depth: usize) -> Vec<u8> {
        [b"*1\r\n".repeat(depth).as_slice(), b":1\r\n"].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_bytes_are_decoded_without_panic(bytes in vec(any::<u8>(), 0..200), count in 0..3_usize) {
            let _ = decode(&bytes, count);
        }

        #[test]
        fn bytes_that_look_like_resp_are_decoded_without_panic(
            bytes in vec(select(vec!["*", "$", ":", "+", "-", "\r\n", "1", "2", "9", "a", "%"]), 0..40),
            count in 0..3_usize,
        ) {
            let _ = decode(bytes.concat().as_bytes(), count);
        }

        #[test]
        fn damaged_replies_are_decoded_without_panic(
            replies in vec(any_reply(), 1..3),
            damages in vec((any::<Index>(), any::<u8>(), 0..3_u8), 1..4),
        ) {
            let mut bytes = encoded(&replies);
            for (place, byte, damage) in damages {
                let place = place.index(bytes.len());
                match damage {
                    0 => bytes[place] = byte,
                    1 => bytes.insert(place, byte),
                    _ => bytes.truncate(place.max(1)),
                }
            }
            let _ = decode(&bytes, replies.len());
        }

        #[test]
        fn every_reply_is_decoded_as_it_was_encoded(replies in vec(any_reply(), 0..4)) {
            prop_assert_eq!(decode(&encoded(&replies), replies.len()), Ok(replies));
        }

        #[test]
        fn every_command_is_an_array_of_its_arguments(args in vec(vec(any::<u8>(), 0..50), 0..5)) {
            let reply = Reply::Array(args.iter().cloned().map(Reply::Bytes).collect());
            prop_assert_eq!(decode(&encode(&args), 1), Ok(vec![reply]));
        }

        #[test]
        fn a_reply_that_ends_anywhere_too_early_is_an_error(replies in vec(any_reply(), 1..3)) {
            let bytes = encoded(&replies);
            for length in 0..bytes.len() {
                prop_assert_eq!(decode(&bytes[..length], replies.len()), Err(TOO_SHORT));
            }
        }

        #[test]
        fn a_byte_behind_the_reply_is_an_error(replies in vec(any_reply(), 0..3), byte in any::<u8>()) {
            let mut bytes = encoded(&replies);
            bytes.push(byte);
            prop_assert_eq!(decode(&bytes, replies.len()), Err(TOO_MUCH));
        }
    }

    #[test]
    fn a_command_has_the_bytes_that_redis_documents() {
        assert_eq!(encode(&["LLEN", "mylist"]), b"*2\r\n$4\r\nLLEN\r\n$6\r\nmylist\r\n");
        assert_eq!(encode(&[b"SET", b"\r\n\xff".as_slice(), b""]), b"*3\r\n$3\r\nSET\r\n$3\r\n\r\n\xff\r\n$0\r\n\r\n");
    }

    #[test]
    fn replies_are_read_as_redis_documents_them() {
        for (bytes, reply) in [
            ("+OK\r\n", Reply::Status(b"OK".to_vec())),
            ("-ERR no\r\n", Reply::Error("ERR no".to_string())),
            (":-42\r\n", Reply::Integer(-42)),
            (":+42\r\n", Reply::Integer(42)),
            ("$0\r\n\r\n", Reply::Bytes(Vec::new())),
            ("$4\r\n\r\n\r\n\r\n", Reply::Bytes(b"\r\n\r\n".to_vec())),
            ("$-1\r\n", Reply::Null),
            ("*-1\r\n", Reply::Null),
            ("*0\r\n", Reply::Array(Vec::new())),
            ("*2\r\n*0\r\n$-1\r\n", Reply::Array(vec![Reply::Array(Vec::new()), Reply::Null])),
        ] {
            assert_eq!(decode(bytes.as_bytes(), 1), Ok(vec![reply]), "{bytes:?}");
        }
    }

    #[test]
    fn an_error_that_is_not_utf8_is_still_an_error() {
        assert_eq!(decode(b"-ERR \xff\r\n", 1), Ok(vec![Reply::Error("ERR \u{fffd}".to_string())]));
    }

    #[test]
    fn what_is_not_resp2_is_an_error() {
        for bytes in [
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "$3\r\nabcde\r\n",
            "$-2\r\n",
            "$x\r\n",
            "$\r\n",
            "*-2\r\n",
            "*99999999999999999999\r\n",
            ":1.5\r\n",
            ":9223372036854775808\r\n",
            // The types of RESP3.
            "_\r\n",
            "#t\r\n",
            ",1.5\r\n",
            "(1\r\n",
            "%1\r\n+a\r\n+b\r\n",
            "~0\r\n",
            ">0\r\n",
            "=7\r\ntxt:abc\r\n",
        ] {
            assert_eq!(decode(bytes.as_bytes(), 1), Err(NOT_RESP2), "{bytes:?}");
        }
    }

    #[test]
    fn a_length_beyond_the_bytes_is_an_error_and_takes_no_memory() {
        for bytes in ["$2147483647\r\n", "*2147483647\r\n", "*2147483647\r\n*2147483647\r\n:1\r\n"] {
            assert_eq!(decode(bytes.as_bytes(), 1), Err(TOO_SHORT), "{bytes:?}");
        }
    }

    #[test]
    fn arrays_nested_beyond_the_limit_are_an_error() {
        assert!(decode(&nested(MAX_DEPTH), 1).is_ok());
        assert_eq!(decode(&nested(MAX_DEPTH + 1), 1), Err(TOO_DEEP));
        assert_eq!(decode(&nested(100_000), 1), Err(TOO_DEEP));
    }

    #[test]
    fn the_limit_of_depth_is_about_arrays_in_each_other_not_side_by_side() {
        let bytes = format!("*{}\r\n{}", MAX_DEPTH * 2, "*1\r\n:1\r\n".repeat(MAX_DEPTH * 2));
        assert!(decode(bytes.as_bytes(), 1).is_ok());
    }

    #[test]
    fn replies_beyond_the_limit_of_length_are_an_error() {
        let reply = |length: usize| format!("+{}\r\n", "a".repeat(length - 3)).into_bytes();
        assert!(decode(&reply(MAX_LENGTH), 1).is_ok());
        assert_eq!(decode(&reply(MAX_LENGTH + 1), 1), Err(TOO_LONG));
    }
}
