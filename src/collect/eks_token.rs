//! stub
pub struct EksExec { pub cluster: String, pub region: Option<String>, pub profile: Option<String>, pub role_arn: Option<String> }
pub fn parse_exec(_c: &str, _a: &[String], _e: &[(String,String)]) -> Option<EksExec> { None }
