// ctest: timeout=60
/* SHA-256 and its HMAC: the vectors of FIPS 180-4's examples and of RFC 4231. */
#include "base/sha256.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace {

std::string hex(const uint8_t *bytes, size_t n)
{
    std::string text;
    for (size_t i = 0; i < n; i++) {
        char two[3];
        snprintf(two, sizeof two, "%02x", bytes[i]);
        text += two;
    }
    return text;
}

/* Hashed in pieces of `piece` bytes. */
std::string sha256(const std::string &text, size_t piece = SIZE_MAX)
{
    sri_sha256 s;
    uint8_t digest[SRI_SHA256_LEN];
    sri_sha256_init(&s);
    for (size_t at = 0; at < text.size(); at += std::min(piece, text.size() - at))
        sri_sha256_add(&s, text.data() + at, std::min(piece, text.size() - at));
    sri_sha256_end(&s, digest);
    return hex(digest, sizeof digest);
}

std::string hmac(const std::string &key, const std::string &text, size_t n = SRI_SHA256_LEN)
{
    sri_hmac h;
    uint8_t digest[SRI_SHA256_LEN];
    sri_hmac_init(&h, key.data(), key.size());
    sri_hmac_add(&h, text.data(), text.size() / 2);
    sri_hmac_add(&h, text.data() + text.size() / 2, text.size() - text.size() / 2);
    sri_hmac_end(&h, digest);
    return hex(digest, n);
}

std::string bytes_up_to(char last)
{
    std::string text;
    for (char c = 1; c <= last; c++)
        text += c;
    return text;
}

TEST(Sha256, AgreesWithThePublishedExamples)
{
    EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(sha256("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                     "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
              "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    EXPECT_EQ(sha256(std::string(1000000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnHowTheTextIsCut)
{
    for (size_t len : { 1u, 55u, 56u, 57u, 63u, 64u, 65u, 119u, 120u, 128u, 1000u }) {
        std::string text;
        for (size_t i = 0; i < len; i++)
            text += static_cast<char>(i * 7 + len);
        std::string whole = sha256(text);
        for (size_t piece : { 1u, 3u, 31u, 63u, 64u, 65u })
            EXPECT_EQ(sha256(text, piece), whole) << len << " bytes in pieces of " << piece;
    }
}

TEST(Hmac, AgreesWithTheSevenCasesOfRfc4231)
{
    EXPECT_EQ(hmac(std::string(20, '\x0b'), "Hi There"),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(hmac("Jefe", "what do ya want for nothing?"),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hmac(std::string(20, '\xaa'), std::string(50, '\xdd')),
              "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    EXPECT_EQ(hmac(bytes_up_to(25), std::string(50, '\xcd')),
              "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    EXPECT_EQ(hmac(std::string(20, '\x0c'), "Test With Truncation", 16),
              "a3b6167473100ee06e0c796c2955552b");
    EXPECT_EQ(
        hmac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    EXPECT_EQ(hmac(std::string(131, '\xaa'),
                   "This is a test using a larger than block-size key and a larger than block-size "
                   "data. The key needs to be hashed before being used by the HMAC algorithm."),
              "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST(Hmac, TakesEmptyKeysAndTexts)
{
    EXPECT_EQ(hmac("", ""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Secrets, AreEqualOnlyInEveryByte)
{
    std::string a(SRI_SHA256_LEN, '\x5a');
    EXPECT_TRUE(sri_secret_equal(a.data(), a.data(), a.size()));
    for (size_t i = 0; i < a.size(); i++) {
        std::string b = a;
        b[i] = static_cast<char>(b[i] ^ (1 << i % 8));
        EXPECT_FALSE(sri_secret_equal(a.data(), b.data(), a.size())) << "byte " << i;
    }
}

} // namespace
