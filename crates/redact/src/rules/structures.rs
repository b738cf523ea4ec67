//! The triggers of secrets that the text around them identifies.

use super::commands::{AFTER_LETTER, LETTERS, short_option_at, user_option_at};
use super::headers::{authorization_at, bearer_token_at, cookie_at, netscape_cookie_at};
use super::named_ssn::named_ssn_at;
use super::password_hashes::{
    HASH, braced_hash_at, crypt_hash_at, mysql_hash_at, short_hash_at, worded_hash_at,
};
use super::private_keys::{encoded_private_key_at, private_key_at};
use super::sql::identified_by_at;
use super::urls::{USER, form_parameter_at, url_credentials_at, url_parameter_at, webhook_url_at};
use super::{RuleText, TriggerBytes};
use crate::Match;

type StructureRule = (TriggerBytes, fn(RuleText<'_>, usize) -> Option<Match>);

/// What may follow the last letters of `cookie`.
const AFTER_COOKIE: &[u8] = b":\"'`=\\] -%&,";

const UPPER_HEX: &[u8] = b"0123456789ABCDEF";

pub(super) const TRIGGERS: [StructureRule; 30] = [
    ([b"B", b"E", b"G", b"I"], private_key_at),
    ([b"L", b"S", b"0", b"t"], encoded_private_key_at),
    ([b"rR", b"iI", b"zZ", b"aA"], authorization_at),
    ([b"bB", b"eE", b"aA", b"rR"], bearer_token_at),
    ([b"kK", b"iI", b"eE", AFTER_COOKIE], cookie_at),
    ([b"US", b"E", b"\t", b"0123456789"], netscape_cookie_at),
    ([b":", b"/", b"/", USER], url_credentials_at),
    ([b"?&#;", b"sS", b"iIeE", b"gGdDsS"], url_parameter_at),
    ([b"?&#;", b"kK", b"eE", b"yY"], url_parameter_at),
    ([b"?&#;", b"xX", b"-", b"aAgG"], url_parameter_at),
    ([b"?&#;", b"pPaAjJ", b"aAuUwW", b"sStT"], url_parameter_at),
    ([b"?&#;", b"cCdD", b"oOeE", b"dDvV"], url_parameter_at),
    ([b"?&#;", b"tThH", b"iImM", b"cCaA"], url_parameter_at),
    ([b"?&#;", b"aAcC", b"sSlL", b"sSiI"], url_parameter_at),
    ([b"mM", b"lL", b"rR", b"eE"], form_parameter_at),
    ([b"$", b"2", b"abxy", b"$"], crypt_hash_at),
    ([b"$", b"15678yPHS", b"$", HASH], crypt_hash_at),
    ([b"$", b"a", b"rp", b"gr"], crypt_hash_at),
    ([b"$", b"kps", b"rbhc", b"bkar"], crypt_hash_at),
    ([b"b", b"k", b"d", b"f"], worded_hash_at),
    ([b"y", b"p", b"t", b":$"], worded_hash_at),
    ([b"C", b"R", b"A", b"M"], worded_hash_at),
    ([b"hm", b"ad", b"15", b"$"], short_hash_at),
    ([b"*", UPPER_HEX, UPPER_HEX, UPPER_HEX], mysql_hash_at),
    ([b"{", b"sS", b"sShHmM", b"hHaAdD"], braced_hash_at),
    ([b"kedp", b".", b"c", b"o"], webhook_url_at),
    ([b"iI", b"fF", b"iI", b"eE"], identified_by_at),
    ([b" ", b"-", LETTERS, AFTER_LETTER], short_option_at),
    ([b"-", b"u", b"s", b"e"], user_option_at),
    ([b"sS", b"sS", b"nN", b" \t:=\"'#"], named_ssn_at),
];
