// The bytes of a file as a constant of the program, put there by the assembler: a compiler would need minutes for them.
#pragma once

#if !defined(NETGLOT_WEIGHTS)
#define NETGLOT_WEIGHTS "weights.bin"
#endif

#if defined(__APPLE__)
#define NETGLOT_SECTION ".const_data\n"
#define NETGLOT_AFTER ".text\n"
#elif defined(_WIN32)
#define NETGLOT_SECTION ".section .rdata, \"dr\"\n"
#define NETGLOT_AFTER ".text\n"
#else
#define NETGLOT_SECTION ".pushsection .rodata\n"
#define NETGLOT_AFTER ".popsection\n"
#endif

#define NETGLOT_TEXT_OF(x) #x
#define NETGLOT_TEXT(x) NETGLOT_TEXT_OF(x)  // of what the macro x stands for

#define NETGLOT_LABEL(name) NETGLOT_TEXT(__USER_LABEL_PREFIX__) #name

// A shorter file is filled up with zeros, which the digest then refuses: nobody reads beyond it. A longer one is an error.
#define NETGLOT_INCBIN(name, bytes, file)                                                   \
  __asm__(NETGLOT_SECTION ".balign 64\n"                                                    \
          ".globl " NETGLOT_LABEL(name) "\n" NETGLOT_LABEL(name) ":\n"                      \
          ".incbin \"" file "\"\n.org " NETGLOT_LABEL(name) " + " #bytes "\n" NETGLOT_AFTER);
