// The digits network for Objective-C and Swift; add the model's model.cpp, layers_*.cpp and weights.cpp to the target.
#import <Foundation/Foundation.h>

NS_ASSUME_NONNULL_BEGIN

@interface DigitsNetwork : NSObject

/// nil where there is not enough memory, or the weights are not those that were written.
- (nullable instancetype)init;

/// The probability of each digit (10 floats), of an 8x8 image (64 floats from 0 to 16); nil for any other size.
- (nullable NSData *)runOnImage:(NSData *)image;

@end

NS_ASSUME_NONNULL_END
