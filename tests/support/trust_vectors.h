/*
 * Signed statements from fixed keys, made by another implementation (Python: protobuf,
 * cryptography, PyNaCl) from docs/PROTOCOL.md. Hexadecimal, but for the token and the code.
 *
 * Seeds: the owner's is 32 times 0x01, the member's 0x02, the token's 0x03, another
 * member's 0x04, an admin's 0x06. The server's certificate is 32 times 0x05.
 */
#ifndef VELD_TESTS_TRUST_VECTORS_H
#define VELD_TESTS_TRUST_VECTORS_H

/* The owner's public key. */
#define VECTOR_OWNER "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
/* The member's: P. */
#define VECTOR_MEMBER "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
/* The other member's. */
#define VECTOR_OTHER "ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c"
/* The network's id. */
#define VECTOR_ID "04de4578b086034c3e059362ee43afcf4a533633d733f3c1685f415a7821af37"
/* The member's address. */
#define VECTOR_IPV6 "fde1:90fc:99a0:4586:c2c6:1d7d:70f:bac4"
/* Of its request to join. */
#define VECTOR_CODE "1W5W-J4GM"
/* Signed: "mynet", 10.100.0.0/16, created at 1800000000. */
#define VECTOR_NETWORK                                                                         \
    "0a390a208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c12056d79"         \
    "6e65741a080a040a64000010102080a4a7da0612208a88e3dd7409f195fd52db2d3cba5d72ca6709"         \
    "bf1d94121bf3748801b40f6f5c1a404689fa33ebf13dbf433b30988930ddb6086308c79c8950cc8f"         \
    "18347c5566651e1be6076588e317d074ab0043296506ec2929e2f0d928362fadc078ca29eaca03"
/* Text of a token for coord.example:50051, of 24 hours from 1800000000, one use, 192.168.7.0/24, relay. */
#define VECTOR_TOKEN                                                                           \
    "veld1ChNjb29yZC5leGFtcGxlOjUwMDUxEiAFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBRo"         \
    "FbXluZXQiIAMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDKsQBCl4KIATeRXiwhgNMPgWTYu5"         \
    "Dr89KUzYz1zPzwWhfQVp4Ia83EiDtSSjGKNHCxurpAziQWZVhKVknOlxj-TY2wUYUrIc30RiApKfaBiC"         \
    "Ax6zaBigBMggKBMCoBwAQGDgCEiCKiOPddAnxlf1S2y08ul1yymcJvx2UEhvzdIgBtA9vXBpAYOJAOKZ"         \
    "tahgMcIb-J-qWn4Rrys0yafMw-HLCdMTcy0b2HXBZeJak6UDJGwTmpeq0IMusqPirNm-Y2Mtye-fEDg"
/* PeerRecord of "server1", who joined with it at 1800000060. */
#define VECTOR_PEER                                                                            \
    "0ae8010a81010a2004de4578b086034c3e059362ee43afcf4a533633d733f3c1685f415a7821af37"         \
    "12208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3941a0773657276"         \
    "65723122040a6400022a080a04c0a80700101832160a1020010db800000000000000000000000110"         \
    "ec940338014001480950bca4a7da0612208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37"         \
    "a25df60f5b8fc9b3941a40aadbfe294df1c1589d120624e053eacf7fa8e98759ad38effe816a6607"         \
    "7d8960cc34e8387d3227d903d7798ab0f5f9dbaacfc1cb7e73fbb7223dc1f20d45280e1295030acb"         \
    "010a650a2004de4578b086034c3e059362ee43afcf4a533633d733f3c1685f415a7821af37122081"         \
    "39770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3941a0773657276657231"         \
    "22080a04c0a807001018280230bca4a7da0640bca4a7da061220ed4928c628d1c2c6eae903389059"         \
    "95612959273a5c63f93636c14614ac8737d11a4062458c0f3bc3815454b881a3b1ce09c9db5a6e92"         \
    "4c034110fd454f9f62bc81a80197111a36372f00dcef47af767e6c55ae71f5b976f266d136170b81"         \
    "7d6d3f0312c4010a5e0a2004de4578b086034c3e059362ee43afcf4a533633d733f3c1685f415a78"         \
    "21af371220ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d11880a4"         \
    "a7da062080c7acda06280132080a04c0a807001018380212208a88e3dd7409f195fd52db2d3cba5d"         \
    "72ca6709bf1d94121bf3748801b40f6f5c1a4060e24038a66d6a180c7086fe27ea969f846bcacd32"         \
    "69f330f872c274c4dccb46f61d70597896a4e940c91b04e6a5eab420cbaca8f8ab366f98d8cb727b"         \
    "e7c40e"
/* To the other member: sequence 1800000000000000001, 192.0.2.1:4500; the nonce is 0 to 23. */
#define VECTOR_SIGNAL                                                                          \
    "000102030405060708090a0b0c0d0e0f1011121314151617d34274a6538cb81e75cfb4d7024794a7"         \
    "c0d8187220b9f55414ffaf018a7a2ab1d554d8ef6f1ba7"
/* RevocationList: the owner revoked the token at 1800000100 and kept the member; an admin revoked the other member at 1800000200. */
#define VECTOR_REVOCATIONS                                                                     \
    "0ab6010a500a2004de4578b086034c3e059362ee43afcf4a533633d733f3c1685f415a7821af3710"         \
    "0118c8a5a7da0622220a20ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333db"         \
    "dabe7c280112208a875fff1eb38451577acd5afee405456568dd7c89e090863a0557bc7af49f171a"         \
    "404eac3adc7319f01af4eaa5ae5ead87672cc444770d60a6520dcbe2c2735a317978af8c3e7673af"         \
    "6c190126c0aa18096d510c6cf170d82c5577683ee92af86b0a12bb010a550a2004de4578b086034c"         \
    "3e059362ee43afcf4a533633d733f3c1685f415a7821af3712208a875fff1eb38451577acd5afee4"         \
    "05456568dd7c89e090863a0557bc7af49f171a0561646d696e28013080a4a7da06400112208a88e3"         \
    "dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c1a4000879a7b3593e5dfd0"         \
    "f82fb016c93879f93f111c69adafbcd8210f7e50daff6e482f66d6abc9d456ecb52dd4b8dcfeabe3"         \
    "3083dfecb1877d9af6c3cf21cd96001ad6010a700a2004de4578b086034c3e059362ee43afcf4a53"         \
    "3633d733f3c1685f415a7821af37100118e4a4a7da0622440a20ed4928c628d1c2c6eae903389059"         \
    "95612959273a5c63f93636c14614ac8737d112208139770ea87d175f56a35466c34c7ecccb8d8a91"         \
    "b4ee37a25df60f5b8fc9b39412208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf374"         \
    "8801b40f6f5c1a408bfd28d2a628a087f65dd08b0941df5fa03ca7e67f2a8f477101b03fce430fc8"         \
    "4043eed7ffdda339cf776d3a41a900c7d3b866993a48fd220191d8ccdd4c2e0e"
/* Signed: the member asks to join as "server1" at 1800000000. */
#define VECTOR_JOIN                                                                            \
    "0a530a2004de4578b086034c3e059362ee43afcf4a533633d733f3c1685f415a7821af3712208139"         \
    "770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3941a077365727665723128"         \
    "80a4a7da0612208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3941a"         \
    "4048e8abd5af1703f4660b3a1e813c9a3f481fdc4e269410dc75edb8f913b4c242b89b029c9559d3"         \
    "73ae195e88e4b1f4a28caee42770d40018106281ef26222201"
/* A LeaveRequest. */
#define VECTOR_RPC_BODY "0a2004de4578b086034c3e059362ee43afcf4a533633d733f3c1685f415a7821af37"
/* Auth: the member calls /veld.coord.v1.Coord/Leave with it at 1800000000123456789 ns, nonce 0 to 15. */
#define VECTOR_RPC_AUTH                                                                        \
    "0a208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39410959abfd8e9"         \
    "ceb8fd181a10000102030405060708090a0b0c0d0e0f2240044224176e17bb68c52dc586dad53268"         \
    "e3dc03d4c20e4ac94f21ff70a1fa0ce193f75ad052e27572b12a5f9b864deb7d8ae360010904ac0d"         \
    "e4e327d79f13bd01"

#endif
