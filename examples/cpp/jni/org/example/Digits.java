package org.example;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/** The digits network. Not for several threads at once; make one object for each. */
public final class Digits implements AutoCloseable {
    static {
        System.loadLibrary("digits_jni"); // digits_jni.cpp and the model's sources
    }

    private final FloatBuffer image = direct(64);
    private final FloatBuffer scores = direct(10);
    private long model = create();

    /** The probability of each digit, of an 8x8 image with pixels from 0 to 16. */
    public float[] run(float[] pixels) {
        if (model == 0) throw new IllegalStateException("the model is closed, or there was no memory for it");
        if (pixels.length != 64) throw new IllegalArgumentException("expected 64 pixels, not " + pixels.length);
        image.rewind();
        image.put(pixels);
        int status = run(model, image, scores);
        if (status != 0) throw new IllegalStateException("the model can't run: status " + status);
        float[] found = new float[10];
        scores.rewind();
        scores.get(found);
        return found;
    }

    @Override
    public void close() {
        destroy(model);
        model = 0;
    }

    /** Memory that C can reach without a copy. */
    private static FloatBuffer direct(int count) {
        return ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder()).asFloatBuffer();
    }

    private static native long create();

    private static native int run(long model, FloatBuffer image, FloatBuffer scores);

    private static native void destroy(long model);
}
