// SPDX-License-Identifier: Apache-2.0
//! Between Redis and Rust: what goes into a command, what a reply becomes, and what can go wrong.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::Reply;

/// What can be an argument of a Redis command: a text, bytes, or a number, which becomes its digits.
///
/// A list of arguments of different types is a `&[&dyn ToArg]`: `&[&"EX", &60]`.
pub trait ToArg {
    /// The bytes of the argument.
    fn to_arg(&self) -> Cow<'_, [u8]>;
}

macro_rules! to_arg {
    ($($type:ty),*: $this:ident => $bytes:expr) => {$(
        impl ToArg for $type {
            fn to_arg(&self) -> Cow<'_, [u8]> {
                let $this = self;
                $bytes
            }
        }
    )*};
}

to_arg!(str, String: this => Cow::Borrowed(this.as_bytes()));
to_arg!([u8], Vec<u8>: this => Cow::Borrowed(this));
// A plugin that passes a float pays 18 KB of module for it, the others nothing.
to_arg!(i32, i64, u32, u64, usize, f64: this => Cow::Owned(this.to_string().into_bytes()));

impl<const N: usize> ToArg for [u8; N] {
    fn to_arg(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }
}

impl<T: ToArg + ?Sized> ToArg for &T {
    fn to_arg(&self) -> Cow<'_, [u8]> {
        (**self).to_arg()
    }
}

/// What a reply can become. The caller's type decides: `let calls: u64 = redis.incr(key).await?`.
///
/// | type | reply |
/// |---|---|
/// | `()` | any |
/// | [`Reply`] | any, as it is; nothing else takes an error inside an array |
/// | `bool` | 1 or `OK` (`true`); 0 or null (`false`), the way `SET` with `NX` answers |
/// | `i64`, `u64` | an integer, or bytes that are one, the way a counter is stored |
/// | `f64` | the same, with a fraction (which costs a module 18 KB) |
/// | `String`, `Vec<u8>` | bytes, or a status; a `String` must be UTF-8 |
/// | `Option<T>` | null (`None`), or what `T` takes |
/// | `Vec<T>` | an array |
/// | [`Pairs<K, V>`](Pairs) | an array of keys and values in turns |
pub trait FromReply: Sized {
    /// Converts the reply.
    ///
    /// # Errors
    /// The reply is of another kind.
    fn from_reply(reply: Reply) -> Result<Self, Unexpected>;
}

/// The keys and values that `HGETALL` answers, or members and scores, in the order in which they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs<K, V>(pub Vec<(K, V)>);

impl FromReply for Reply {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        Ok(reply)
    }
}

impl FromReply for () {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        match reply {
            Reply::Error(_) => Err(Unexpected::new("anything else", &reply)),
            _ => Ok(()),
        }
    }
}

impl FromReply for bool {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        match &reply {
            Reply::Integer(1) => Ok(true),
            Reply::Integer(0) | Reply::Null => Ok(false),
            Reply::Status(status) if status == b"OK" => Ok(true),
            _ => Err(Unexpected::new("1, 0, OK or null", &reply)),
        }
    }
}

impl FromReply for i64 {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        number(&reply, Some).ok_or_else(|| Unexpected::new("an integer", &reply))
    }
}

impl FromReply for u64 {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        let number = number(&reply, |integer| integer.try_into().ok());
        number.ok_or_else(|| Unexpected::new("an integer, 0 or more", &reply))
    }
}

impl FromReply for f64 {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        let number = number(&reply, |integer| Some(integer as f64));
        number.ok_or_else(|| Unexpected::new("a number", &reply))
    }
}

fn number<T: FromStr>(reply: &Reply, from_integer: fn(i64) -> Option<T>) -> Option<T> {
    match reply {
        Reply::Integer(integer) => from_integer(*integer),
        Reply::Bytes(digits) => str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

impl FromReply for Vec<u8> {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        match reply {
            Reply::Bytes(bytes) | Reply::Status(bytes) => Ok(bytes),
            other => Err(Unexpected::new("bytes", &other)),
        }
    }
}

impl FromReply for String {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        let bytes = Vec::from_reply(reply)?;
        String::from_utf8(bytes).map_err(|_| Unexpected { wanted: "UTF-8", got: "other bytes" })
    }
}

impl<T: FromReply> FromReply for Option<T> {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        match reply {
            Reply::Null => Ok(None),
            other => T::from_reply(other).map(Some),
        }
    }
}

impl<T: FromReply> FromReply for Vec<T> {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        match reply {
            Reply::Array(items) => items.into_iter().map(T::from_reply).collect(),
            other => Err(Unexpected::new("an array", &other)),
        }
    }
}

impl<K: FromReply, V: FromReply> FromReply for Pairs<K, V> {
    fn from_reply(reply: Reply) -> Result<Self, Unexpected> {
        let mut items = Vec::<Reply>::from_reply(reply)?.into_iter();
        let mut pairs = Vec::with_capacity(items.len() / 2);
        while let Some(key) = items.next() {
            let value = items.next().ok_or(Unexpected { wanted: "pairs", got: "an odd number of items" })?;
            pairs.push((K::from_reply(key)?, V::from_reply(value)?));
        }
        Ok(Pairs(pairs))
    }
}

/// A reply of another kind than was wanted: `wanted an integer, got an array`. The reply itself, which may be
/// a secret, is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unexpected {
    wanted: &'static str,
    got: &'static str,
}

impl Unexpected {
    fn new(wanted: &'static str, got: &Reply) -> Self {
        let got = match got {
            Reply::Null => "null",
            Reply::Integer(..0) => "a negative integer",
            Reply::Integer(_) => "an integer",
            Reply::Status(_) => "a status",
            Reply::Bytes(_) => "bytes",
            Reply::Error(_) => "an error",
            Reply::Array(_) => "an array",
        };
        Unexpected { wanted, got }
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wanted {}, got {}", self.wanted, self.got)
    }
}

impl std::error::Error for Unexpected {}

/// Why a Redis command has brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisError {
    /// The gateway knows no such cluster: the service is not imported, or its port or suffix is another. The
    /// same call works as soon as the gateway knows it.
    NoSuchCluster,
    /// The gateway could not send the command: no host of the cluster is healthy. Redis has not seen it.
    NotSent,
    /// The command was sent, and no answer came in time or the connection broke. Redis may have executed it:
    /// only what may happen twice should be tried again.
    NoAnswer,
    /// Redis has refused the command, in these words: the arguments or the password are wrong, or it cannot
    /// work now. The first word is the kind of the error, such as `WRONGTYPE`.
    Server(String),
    /// What came is no reply of Redis, or a larger one than a plugin may hold; the text says why. Redis may
    /// have executed the command.
    Protocol(&'static str),
    /// Redis has executed the command, but its reply is not of the type that the plugin asked for.
    Unexpected(Unexpected),
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedisError::NoSuchCluster => f.write_str("redis: the gateway knows no such cluster"),
            RedisError::NotSent => f.write_str("redis: the gateway could not send the command"),
            RedisError::NoAnswer => f.write_str("redis: no answer in time, or the connection broke"),
            RedisError::Server(text) => write!(f, "redis: {}", printable(text)),
            RedisError::Protocol(reason) => write!(f, "redis: {reason}"),
            RedisError::Unexpected(unexpected) => write!(f, "redis: {unexpected}"),
        }
    }
}

/// One line of an error's text, without the arguments that Redis repeats when it does not know a command,
/// since they may be secrets.
fn printable(text: &str) -> &str {
    text.split(char::is_control).flat_map(|line| line.split(", with args")).next().unwrap_or_default()
}

impl std::error::Error for RedisError {}

impl From<Unexpected> for RedisError {
    fn from(unexpected: Unexpected) -> Self {
        RedisError::Unexpected(unexpected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().to_vec())
    }

    fn status(text: &str) -> Reply {
        Reply::Status(text.as_bytes().to_vec())
    }

    fn convert<T: FromReply>(reply: Reply) -> Result<T, String> {
        T::from_reply(reply).map_err(|unexpected| unexpected.to_string())
    }

    fn unexpected<T>(text: &str) -> Result<T, String> {
        Err(text.to_string())
    }

    #[test]
    fn arguments_become_the_bytes_that_redis_stores() {
        let mixed: &[&dyn ToArg] = &[
            &"text",
            &"text".to_string(),
            b"\xff\0",
            &b"\xff\0".to_vec(),
            &b"\xff\0".as_slice(),
            &-60,
            &u64::MAX,
            &0.5,
            &f64::INFINITY,
        ];
        let args: Vec<_> = mixed.iter().map(ToArg::to_arg).collect();
        let expected: [&[u8]; 9] =
            [b"text", b"text", b"\xff\0", b"\xff\0", b"\xff\0", b"-60", b"18446744073709551615", b"0.5", b"inf"];
        assert_eq!(args, expected);
    }

    #[test]
    fn unit_takes_whatever_is_no_error() {
        for reply in [status("OK"), Reply::Null, Reply::Integer(1), bytes(""), Reply::Array(Vec::new())] {
            assert_eq!(convert::<()>(reply), Ok(()));
        }
        assert_eq!(convert::<()>(Reply::Error("ERR".into())), unexpected("wanted anything else, got an error"));
    }

    #[test]
    fn booleans() {
        for (reply, expected) in [
            (Reply::Integer(1), Ok(true)),
            (Reply::Integer(0), Ok(false)),
            (status("OK"), Ok(true)),
            (Reply::Null, Ok(false)),
            (Reply::Integer(2), unexpected("wanted 1, 0, OK or null, got an integer")),
            (status("QUEUED"), unexpected("wanted 1, 0, OK or null, got a status")),
            (bytes("1"), unexpected("wanted 1, 0, OK or null, got bytes")),
        ] {
            assert_eq!(convert(reply), expected);
        }
    }

    #[test]
    fn integers() {
        for (reply, expected) in [
            (Reply::Integer(i64::MIN), Ok(i64::MIN)),
            (bytes("-42"), Ok(-42)),
            (bytes("9223372036854775808"), unexpected("wanted an integer, got bytes")),
            (bytes("1.0"), unexpected("wanted an integer, got bytes")),
            (bytes(""), unexpected("wanted an integer, got bytes")),
            (status("1"), unexpected("wanted an integer, got a status")),
            (Reply::Null, unexpected("wanted an integer, got null")),
            (Reply::Array(vec![]), unexpected("wanted an integer, got an array")),
            (Reply::Error("ERR".into()), unexpected("wanted an integer, got an error")),
        ] {
            assert_eq!(convert(reply), expected);
        }
    }

    #[test]
    fn unsigned_integers() {
        for (reply, expected) in [
            (Reply::Integer(i64::MAX), Ok(i64::MAX as u64)),
            (bytes("18446744073709551615"), Ok(u64::MAX)),
            (Reply::Integer(-1), unexpected("wanted an integer, 0 or more, got a negative integer")),
            (bytes("-1"), unexpected("wanted an integer, 0 or more, got bytes")),
        ] {
            assert_eq!(convert(reply), expected);
        }
    }

    #[test]
    fn floats() {
        for (reply, expected) in [
            (bytes("10.6"), Ok(10.6)),
            (bytes("-inf"), Ok(f64::NEG_INFINITY)),
            (bytes("5.0e3"), Ok(5000.0)),
            (Reply::Integer(3), Ok(3.0)),
            (bytes("ten"), unexpected("wanted a number, got bytes")),
        ] {
            assert_eq!(convert(reply), expected);
        }
    }

    #[test]
    fn texts_and_bytes() {
        let invalid = || Reply::Bytes(b"\xff".to_vec());
        assert_eq!(convert(bytes("h\u{e4}")), Ok("h\u{e4}".to_string()));
        assert_eq!(convert(status("PONG")), Ok("PONG".to_string()));
        assert_eq!(convert::<String>(invalid()), unexpected("wanted UTF-8, got other bytes"));
        assert_eq!(convert::<String>(Reply::Null), unexpected("wanted bytes, got null"));
        assert_eq!(convert(invalid()), Ok(b"\xff".to_vec()));
        assert_eq!(convert::<Vec<u8>>(Reply::Integer(1)), unexpected("wanted bytes, got an integer"));
    }

    #[test]
    fn null_is_none_and_nothing_else_is() {
        assert_eq!(convert::<Option<i64>>(Reply::Null), Ok(None));
        assert_eq!(convert(Reply::Integer(0)), Ok(Some(0_i64)));
        assert_eq!(convert(bytes("")), Ok(Some(String::new())));
        assert_eq!(convert::<Option<i64>>(bytes("x")), unexpected("wanted an integer, got bytes"));
    }

    #[test]
    fn arrays() {
        let reply = || Reply::Array(vec![bytes("1"), Reply::Null]);
        assert_eq!(convert(reply()), Ok(vec![Some(1_u64), None]));
        assert_eq!(convert::<Vec<u64>>(reply()), unexpected("wanted an integer, 0 or more, got null"));
        assert_eq!(convert(Reply::Array(vec![reply()])), Ok(vec![vec![Some(b"1".to_vec()), None]]));
        assert_eq!(convert::<Vec<String>>(bytes("x")), unexpected("wanted an array, got bytes"));
        assert_eq!(convert(reply()), Ok(reply()));
    }

    #[test]
    fn pairs() {
        let reply = |items: &[&str]| Reply::Array(items.iter().copied().map(bytes).collect());
        let expected = Pairs(vec![("b".to_string(), 2_i64), ("a".to_string(), 1)]);
        assert_eq!(convert(reply(&["b", "2", "a", "1"])), Ok(expected));
        assert_eq!(convert(reply(&[])), Ok(Pairs::<String, i64>(vec![])));
        let odd = convert::<Pairs<String, String>>(reply(&["a", "1", "b"]));
        assert_eq!(odd, unexpected("wanted pairs, got an odd number of items"));
    }

    #[test]
    fn an_error_of_the_server_is_logged_in_one_line_and_without_arguments() {
        for (text, expected) in [
            ("NOAUTH Authentication required.", "redis: NOAUTH Authentication required."),
            ("ERR unknown command 'FOO', with args beginning with: 'secret' ", "redis: ERR unknown command 'FOO'"),
            ("ERR one\nERROR two", "redis: ERR one"),
        ] {
            assert_eq!(RedisError::Server(text.to_string()).to_string(), expected);
        }
    }
}
