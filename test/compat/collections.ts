/**
 * The script's commands about lists, hashes, sets, sorted sets, places and streams; script.ts says
 * what a line is and which lines may stand here.
 */

export const LISTS = `
RPUSH l a b c
LPUSH l z y
LRANGE l 0 -1
LRANGE l 5 2
LRANGE l a b
LLEN l
LLEN none
LINDEX l 0
LINDEX l -1
LINDEX l 100
LSET l 0 first
LSET l 100 x
LSET none 0 x
LINSERT l BEFORE a before
LINSERT l AFTER nowhere x
LREM l 1 b
LREM l 0 nothing
LPOS l a
LPOS l nothing
LPOS l a COUNT 0
LTRIM l 0 2
LPOP l
RPOP l
LPOP none
RPUSH l 1 2 3 4 5
LPOP l 2
LPOP l 0
LPOP none 2
RPOP l 100
LPUSHX none x
RPUSHX none x
RPUSH {t}la 1 2 3
LMOVE {t}la {t}lb LEFT RIGHT
RPOPLPUSH {t}la {t}lb
LMPOP 2 {t}none {t}la LEFT
LMPOP 1 {t}lb RIGHT COUNT 10
LMPOP 1 {t}lb RIGHT
LPUSH s x
GET l2
SORT l
RPUSH nums 3 1 2
SORT nums
SORT nums DESC
SORT nums LIMIT 0 2
SORT nums ALPHA
SORT_RO nums
RPUSH words b a
SORT words
`;

export const HASHES = `
HSET h f1 v1 f2 v2
HSET h f1 again
HSET h f1
HSETNX h f3 v3
HSETNX h f3 no
HGET h f1
HGET h none
HGET none f
HMSET h f4 v4 f5 v5
HMGET h f1 none f5
HMGET none a b
HGETALL h
HGETALL none
HKEYS h
HVALS h
HLEN h
HSTRLEN h f1
HEXISTS h f1
HEXISTS h none
HDEL h f1 none
HINCRBY h n 5
HINCRBY h f2 1
HINCRBYFLOAT h n 0.5
HSCAN h 0
HSCAN h 0 MATCH f* COUNT 100
HSCAN none 0
HRANDFIELD none
HRANDFIELD none 3
HRANDFIELD h 0
HSET s f v
HGETALL s
`;

export const SETS = `
SADD st a
SADD st a b
SCARD st
SISMEMBER st a
SISMEMBER st none
SMISMEMBER st a none b
SREM st b none
SMEMBERS st
SMEMBERS none
SPOP none
SPOP none 3
SRANDMEMBER none
SRANDMEMBER none 2
SRANDMEMBER st
SSCAN st 0
SADD {t}s1 1 2 3
SADD {t}s2 2 3 4
SINTERCARD 2 {t}s1 {t}s2
SINTERCARD 2 {t}s1 {t}s2 LIMIT 1
SINTERCARD 0 {t}s1
SINTERSTORE {t}s3 {t}s1 {t}s2
SUNIONSTORE {t}s4 {t}s1 {t}s2
SDIFFSTORE {t}s5 {t}s1 {t}s2
SMEMBERS {t}s5
SINTER {t}s1 {t}none
SINTER {t}s1 {t}s2
SUNION {t}s1 {t}s2
SDIFF {t}s1 {t}s2
SMOVE {t}s1 {t}s2 1
SMOVE {t}s1 {t}s2 nothing
SADD s x
SINTER {t}s1 {t}l1
`;

export const SORTED_SETS = `
ZADD z 1 a 2 b 3 c
ZADD z NX 9 a
ZADD z XX CH 5 a
ZADD z GT CH 1 a
ZADD z INCR 1.5 a
ZADD z NX INCR 1 a
ZADD z x a
ZCARD z
ZCOUNT z 1 3
ZCOUNT z (1 +inf
ZSCORE z a
ZSCORE z none
ZMSCORE z a none b
ZINCRBY z 0.1 b
ZRANK z b
ZRANK z none
ZREVRANK z b
ZRANGE z 0 -1
ZRANGE z 0 -1 WITHSCORES
ZRANGE z 1 5 BYSCORE
ZRANGE z +inf -inf BYSCORE REV LIMIT 0 2
ZREVRANGE z 0 0 WITHSCORES
ZRANGEBYSCORE z -inf +inf WITHSCORES LIMIT 1 1
ZREVRANGEBYSCORE z +inf -inf
ZADD lex 0 a 0 b 0 c
ZRANGE lex [a (c BYLEX
ZRANGEBYLEX lex - +
ZREVRANGEBYLEX lex + -
ZLEXCOUNT lex - (c
ZREMRANGEBYLEX lex [c +
ZREMRANGEBYRANK lex 0 0
ZREMRANGEBYSCORE lex 0 0
ZPOPMIN z
ZPOPMAX z 2
ZPOPMIN none
ZPOPMIN none 2
ZREM z a
ZADD {t}z1 1 a 2 b
ZADD {t}z2 3 b 4 c
ZUNIONSTORE {t}z3 2 {t}z1 {t}z2 WEIGHTS 2 1 AGGREGATE MAX
ZINTERSTORE {t}z4 2 {t}z1 {t}z2
ZDIFFSTORE {t}z5 2 {t}z1 {t}z2
ZUNION 2 {t}z1 {t}z2 WITHSCORES
ZINTER 2 {t}z1 {t}z2
ZDIFF 2 {t}z1 {t}z2 WITHSCORES
ZINTERCARD 2 {t}z1 {t}z2
ZRANGESTORE {t}z6 {t}z1 0 -1
ZMPOP 2 {t}none {t}z1 MIN
ZMPOP 1 {t}z3 MAX COUNT 2
ZMPOP 1 {t}none MIN
ZUNIONSTORE {t}z3 x {t}z1
ZSCAN {t}z2 0
ZRANDMEMBER none
ZRANDMEMBER none 2
ZADD inf +inf a -inf b 1e300 c 0.1 d
ZRANGE inf 0 -1 WITHSCORES
ZADD s 1 x
`;

export const GEO_AND_STREAMS = `
GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEOADD g 200 100 bad
GEODIST g Palermo Catania
GEODIST g Palermo Catania km
GEODIST g Palermo none
GEOHASH g Palermo none
GEOPOS g Palermo none
GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC
GEOSEARCH g FROMMEMBER Palermo BYBOX 400 400 km ASC WITHCOORD WITHDIST WITHHASH
GEORADIUS g 15 37 200 km ASC
GEORADIUSBYMEMBER g Palermo 100 km
GEORADIUS_RO g 15 37 200 km COUNT 1
XADD x 1-1 f v
XADD x 1-1 f v
XADD x 1-2 f v g w
XADD x NOMKSTREAM 2-0 a b
XADD xnone NOMKSTREAM 1-0 a b
XADD x 3-0 odd
XLEN x
XRANGE x - +
XRANGE x - + COUNT 1
XREVRANGE x + -
XREAD COUNT 2 STREAMS x 0
XREAD STREAMS x 9
XDEL x 1-1 7-7
XTRIM x MAXLEN 10
XGROUP CREATE x group 0
XGROUP CREATE x group 0
XGROUP CREATE xnone group 0
XGROUP CREATECONSUMER x group c1
XREADGROUP GROUP group c1 COUNT 1 STREAMS x >
XREADGROUP GROUP nogroup c1 STREAMS x >
XACK x group 1-2
XACK x group 9-9
XPENDING x group
XAUTOCLAIM x group c2 0 0
XCLAIM x group c2 0 1-2 JUSTID
XINFO STREAM xnone
XINFO GROUPS x
XGROUP SETID x group 0
XGROUP DELCONSUMER x group c1
XGROUP DESTROY x group
XSETID x 10-0
XLEN none
XADD s * f v
`;
