//! `tower` layers: requests that a server answers, and calls that a client makes.
