# Read by make before OpenSSL's own Makefile. AES for AVX-512 is 0.7 MB of assembly, to be quick with
# more than any delivery has; without it AES-NI is used. There is no option, but an assembler that
# does not know those instructions is asked for its version first, and so this is one.
crypto/modes/aes-gcm-avx512.s crypto/aes/aesni-xts-avx512.s: CC = echo GNU assembler version 2.24
