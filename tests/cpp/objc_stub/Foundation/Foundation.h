// As much of Apple's Foundation as examples/cpp/objc names, so that a compiler elsewhere can check it.
#pragma once

#include <cstddef>

#define NS_ASSUME_NONNULL_BEGIN _Pragma("clang assume_nonnull begin")
#define NS_ASSUME_NONNULL_END _Pragma("clang assume_nonnull end")
#define nil nullptr

typedef unsigned long NSUInteger;

__attribute__((objc_root_class)) @interface NSObject
- (nullable instancetype)init;
@end

@interface NSData : NSObject
@property(readonly) NSUInteger length;
@property(readonly, nullable) const void *bytes;
@end

@interface NSMutableData : NSData
+ (nullable instancetype)dataWithLength:(NSUInteger)length;
@property(readonly, nonnull) void *mutableBytes;
@end
